"""Whether PyTorch is there."""


def require_torch() -> None:
    """Raise a ModuleNotFoundError that says what to install, if PyTorch is not there."""
    try:
        import torch  # noqa: F401
    except ModuleNotFoundError:
        raise ModuleNotFoundError("torch_bridge: PyTorch is not installed; pip install torch") from None
