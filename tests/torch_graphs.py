"""The same networks in PyTorch, for the tests: an interpreter of graphs, and VGG-16 and ResNet-50 as usual modules."""

import pytest

from theorylab.networks import nodes as kinds
from theorylab.torch_bridge import attribute, from_torch

torch = pytest.importorskip("torch")
nn, functional = torch.nn, torch.nn.functional


def rectifier(rule):
    """A ReLU whose backward pass is written out: not an import of the rules under test.  None: PyTorch's own."""
    if rule is None:
        return torch.relu

    class Substituted(torch.autograd.Function):
        @staticmethod
        def forward(context, y):
            context.save_for_backward(y)
            return y.clamp(min=0)

        @staticmethod
        def backward(context, gradient):
            (y,) = context.saved_tensors
            if rule == "deconvnet":
                return gradient.clamp(min=0)
            kept = torch.where(y > 0, gradient, torch.zeros_like(gradient))
            return kept.clamp(min=0) if rule == "guided" else kept

    return Substituted.apply


def run(nodes, parameters, image, rule):
    """Logits of a list of nodes, each called as PyTorch's function of that name."""
    p = {name: torch.as_tensor(array) for name, array in parameters.items()}
    values = {nodes[0].name: image}
    relu = rectifier(rule)
    for node in nodes[1:]:
        x = [values[name] for name in node.inputs]
        own = getattr(node, "prefix", None) or node.name
        match node:
            case kinds.Conv():
                bias = p[f"{own}.bias"] if node.bias else None
                y = functional.conv2d(x[0], p[f"{own}.weight"], bias, node.stride, node.padding)
            case kinds.Dense():
                y = functional.linear(x[0], p[f"{own}.weight"], p[f"{own}.bias"] if node.bias else None)
            case kinds.Activation():
                y = relu(x[0])
            case kinds.MaxPool():
                w = node.windows
                y = functional.max_pool2d(x[0], w.size, w.stride, w.padding, ceil_mode=w.ceil_mode)
            case kinds.AveragePool():
                y = functional.avg_pool2d(
                    x[0], node.size, node.stride, node.padding, count_include_pad=node.include_padding
                )
            case kinds.AdaptiveAveragePool():
                y = functional.adaptive_avg_pool2d(x[0], node.size)
            case kinds.BatchNorm():
                statistics = [
                    p[f"{own}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")
                ]
                y = functional.batch_norm(x[0], *statistics, eps=node.eps)
            case kinds.Add():
                y = torch.stack(x).sum(0)
            case kinds.Flatten():
                y = x[0].flatten(1)
        values[node.name] = y
    return values[nodes[-1].name][0]


def module_of(node, shape):
    """One node as PyTorch's module of that name, of its own random parameters; `shape` is what it reads."""
    match node:
        case kinds.Conv():
            return nn.Conv2d(shape[0], node.n_filters, node.kernel, node.stride, node.padding, bias=node.bias)
        case kinds.Dense():
            return nn.Linear(shape[0], node.n_outputs, bias=node.bias)
        case kinds.Activation():
            return nn.LeakyReLU(node.unit.slope) if node.unit.slope else nn.ReLU()
        case kinds.MaxPool():
            w = node.windows
            return nn.MaxPool2d(w.size, w.stride, w.padding)
        case kinds.AveragePool():
            options = {"count_include_pad": node.include_padding}
            return nn.AvgPool2d(node.size, node.stride, node.padding, **options)
        case kinds.AdaptiveAveragePool():
            return nn.AdaptiveAvgPool2d(node.size)
        case kinds.BatchNorm():
            return nn.BatchNorm2d(shape[0], eps=0.0)
        case kinds.Flatten():
            return nn.Flatten()


class Function(nn.Module):
    """A function as a module."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def Rectifier(rule):
    """A module; PyTorch's own, which Captum looks for, if there is no rule."""
    return nn.ReLU() if rule is None else Function(rectifier(rule))


HOOKS_OF_RULES = {
    "guided": lambda below, above: below.clamp(min=0),
    "deconvnet": lambda below, above: above.clamp(min=0),
    "linear": lambda below, above: above,
}


def hooked(module, x, k, hook):
    """A map by PyTorch's own backward hooks: ``hook(below, above)`` is what each unit that is a module hands on."""
    units = [part for part in module.modules() if isinstance(part, (nn.ReLU, nn.LeakyReLU))]
    handles = [
        part.register_full_backward_hook(lambda part, below, above: (hook(below[0], above[0]),))
        for part in units
    ]
    image = torch.tensor(x[None], requires_grad=True)
    (found,) = torch.autograd.grad(module(image)[0, k], image)
    for handle in handles:
        handle.remove()
    return found[0].numpy()


def assert_refused(module, x, words, rule="guided"):
    """By the bridge and by its reader of graphs, in one line."""
    for call in (lambda: attribute(module, x, rule), lambda: from_torch(module, x.shape)):
        with pytest.raises(ValueError, match=words) as caught:
            call()
        assert "\n" not in str(caught.value)


def captum_maps(module, xs, rule, target):
    """Of a batch that is a tensor, (B, C, H, W)."""
    attr = pytest.importorskip("captum.attr")
    method = {"saliency": attr.Saliency, "deconvnet": attr.Deconvolution, "guided": attr.GuidedBackprop}[rule]
    options = {"abs": False} if rule == "saliency" else {}
    found = method(module).attribute(xs.clone().requires_grad_(), target=target, **options)
    return found.detach().cpu().numpy()


def captum_map(module, x, rule, target):
    return captum_maps(module, torch.tensor(x[None]), rule, target)[0]


class VGG16(nn.Module):
    """Configuration D with dropout, as everyone writes it."""

    def __init__(self, rule, n_logits):
        super().__init__()
        layers, channels = [], 3
        for entry in (64, 64, "M", 128, 128, "M", *(256,) * 3, "M", *(512,) * 3, "M", *(512,) * 3, "M"):
            if entry == "M":
                layers.append(nn.MaxPool2d(2, 2))
            else:
                layers += [nn.Conv2d(channels, entry, 3, padding=1), Rectifier(rule)]
                channels = entry
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(7)
        dense = [nn.Linear(512 * 49, 4096), Rectifier(rule), nn.Dropout()]
        dense += [nn.Linear(4096, 4096), Rectifier(rule), nn.Dropout(), nn.Linear(4096, n_logits)]
        self.classifier = nn.Sequential(*dense)

    def forward(self, x):
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


class Bottleneck(nn.Module):
    """One rectifier module, called three times."""

    def __init__(self, rule, channels, width, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(channels, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, 4 * width, 1, bias=False), nn.BatchNorm2d(4 * width)
        self.relu = Rectifier(rule)
        self.downsample = None
        if stride != 1 or channels != 4 * width:
            projection = nn.Conv2d(channels, 4 * width, 1, stride, bias=False)
            self.downsample = nn.Sequential(projection, nn.BatchNorm2d(4 * width))

    def forward(self, x):
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn3(self.conv3(self.relu(self.bn2(self.conv2(y)))))
        return self.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    def __init__(self, rule, n_logits, blocks=(3, 4, 6, 3), width=64):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, width, 7, 2, 3, bias=False), nn.BatchNorm2d(width)
        self.relu, self.maxpool = Rectifier(rule), nn.MaxPool2d(3, 2, 1)
        channels = width
        for stage, count in enumerate(blocks):
            layer = []
            for place in range(count):
                stride = 2 if stage and not place else 1
                layer.append(Bottleneck(rule, channels, width * 2**stage, stride))
                channels = 4 * width * 2**stage
            setattr(self, f"layer{stage + 1}", nn.Sequential(*layer))
        self.stages = len(blocks)
        self.avgpool, self.fc = nn.AdaptiveAvgPool2d(1), nn.Linear(channels, n_logits)

    def forward(self, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        for stage in range(self.stages):
            x = getattr(self, f"layer{stage + 1}")(x)
        return self.fc(self.avgpool(x).flatten(1))


def loaded(build, parameters):
    """A module with these parameters, in evaluation mode; every name must be the module's own."""
    with torch.device("meta"):
        module = build()
    state = {name: torch.from_numpy(array) for name, array in parameters.items()}
    # The counters of batch normalisation are the only entries that a network here does not have.
    counters = [name for name in module.state_dict() if name.endswith("num_batches_tracked")]
    state |= {name: torch.tensor(0) for name in counters}
    module.load_state_dict(state, strict=True, assign=True)
    assert [name for name in module.state_dict() if name not in counters] == list(parameters)
    return module.eval()
