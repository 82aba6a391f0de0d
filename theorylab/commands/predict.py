"""``theorylab predict``."""

from __future__ import annotations

from typing import Annotated

import typer

from theorylab.commands import _output as output
from theorylab.commands._options import Image, Kernel, Out, Pool, PredictedNetwork, RuleName, Stride


def predict(
    image: Image,
    network: Annotated[
        PredictedNetwork, typer.Option(help="cnn: the three-layer network; vgg16: all 16 layers.")
    ] = PredictedNetwork.CNN,
    filters: Annotated[
        int | None, typer.Option(min=1, help="Number of the CNN's filters. [default: 256]")
    ] = None,
    kernel: Kernel = 7,
    stride: Stride = 2,
    size: Annotated[int, typer.Option(min=1, help="Side of the resized picture.")] = 224,
    pool: Pool = None,
    rule: Annotated[RuleName, typer.Option(help="Backward rule.")] = RuleName.GUIDED,
    out: Out = None,
) -> None:
    """Show the maps that the theory predicts: closed form, no simulation.

    Examples: theorylab predict photo.jpg --filters 64 --rule all; theorylab predict cat --pool 2 --rule deconvnet;
    theorylab predict cat --network vgg16
    """
    file = output.figure_file(out, image, "prediction")
    deep = network is PredictedNetwork.VGG16
    for name, given in (("--filters", filters), ("--pool", pool)):
        if deep and given is not None:
            raise ValueError(f"{name}: {network.value} has its own layers, there is nothing to choose")
    from theorylab import images
    from theorylab.report import predictions, progress

    x = images.load(image, size)
    with progress.shown(not deep and pool is None) as report:
        shown = (
            predictions.predicted_vgg16(x, rule=rule.value, progress=report)
            if deep
            else predictions.predicted(
                x,
                n_filters=filters or 256,
                kernel=kernel,
                stride=stride,
                pool=pool,
                rule=rule.value,
                progress=report,
            )
        )
    output.show(shown, file)
