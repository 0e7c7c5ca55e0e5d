"""A norm from a user's Python file: `mynorm.py:MyNorm`.

The class is an nn.Module that maps N x C x H x W to the same shape. It is called as MyNorm(num_features, **options),
with size=(height, width) as well if its __init__ takes a `size`.
"""

import functools
import hashlib
import inspect
import sys
import traceback
import types
from pathlib import Path

import torch
from torch import nn

from wsnet.config.errors import did_you_mean
from wsnet.config.norm import OwnNormConfig
from wsnet.config.own_class import read_source
from wsnet.errors import Error

__all__ = ["OwnNormError", "is_own", "load_own_norm", "make_own_norm", "where"]

_MODULES = "wsnet_own_"
"""Prefix of the names of modules made from users' files; the file's hash follows."""


class OwnNormError(Error):
    """A norm from a file that cannot be used; the message says why, and on which line."""


def make_own_norm(config: OwnNormConfig, channels: int, size: tuple[int, int]) -> nn.Module:
    """Make the norm for maps of N x channels x height x width.

    Its constructor draws the same random numbers at every call; only `initialize` uses the trial's seed.

    Raises:
        OwnNormError: the class cannot be loaded, or rejects its options.
    """
    made, options = load_own_norm(config), config.options
    if "size" in inspect.signature(made.__init__).parameters:
        options = {"size": size, **options}
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            norm = made(channels, **options)
    except (Exception, SystemExit) as error:
        shown = ", ".join([str(channels), *(f"{name}={value!r}" for name, value in options.items())])
        raise OwnNormError(f"{config.class_name}({shown}) raised {where(error, config.source_file)}") from error
    norm.is_own_norm = True  # type: ignore[assignment]
    return norm


def load_own_norm(config: OwnNormConfig) -> type[nn.Module]:
    """The class that a configuration names.

    Raises:
        OwnNormError: the file has changed, cannot be imported or has no such class; or the class is not an nn.Module,
            or does not take one of the options.
    """
    try:
        source = read_source(config)
    except ValueError as error:
        raise OwnNormError(str(error)) from None
    module = _module(config.source_file, source)
    found = getattr(module, config.class_name, None)
    if found is None:
        classes = [name for name, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__]
        near = did_you_mean(config.class_name, classes) or "; it defines no class"
        raise OwnNormError(f"{config.source_file} has no class {config.class_name!r}{near}")
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        kind = found.__mro__[1] if isinstance(found, type) else type(found)
        what = f"of type {kind.__name__}" if not isinstance(found, type) else f"derived from {kind.__name__}"
        raise OwnNormError(f"{config.class_name} must be a class derived from torch.nn.Module, but is {what}")
    _check_options(found, config)
    return found


def _check_options(made: type[nn.Module], config: OwnNormConfig) -> None:
    parameters = inspect.signature(made.__init__).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return
    for name in config.options.keys() - parameters.keys():
        takes = did_you_mean(name, [other for other in list(parameters)[2:] if other != "size"])
        raise OwnNormError(f"{config.class_name} takes no option {name!r}{takes or '; it takes none'}")


def is_own(module: nn.Module) -> bool:
    """Whether `make_own_norm` made a module."""
    return getattr(module, "is_own_norm", False) is True


def where(error: BaseException, file: str) -> str:
    """An error from a user's file as `file:line: Kind: text`; the line is the traceback's last one in that file."""
    text = " ".join(str(error.msg if isinstance(error, SyntaxError) else error).split())
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    line = error.lineno if isinstance(error, SyntaxError) else lines[-1] if lines else None
    return f"{file}:{line}: {type(error).__name__}: {text}" if line else f"{type(error).__name__}: {text}"


@functools.cache
def _module(file: str, source: bytes) -> types.ModuleType:
    """The file as a module: compiled from the very bytes that were hashed, once per process."""
    name = f"{_MODULES}{hashlib.sha256(source).hexdigest()[:12]}"
    module = types.ModuleType(name)
    module.__file__ = file
    sys.modules[name] = module  # Dataclasses and torch.compile look up their module there.
    try:
        exec(compile(source, file, "exec"), module.__dict__)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise OwnNormError(f"cannot be imported: {where(error, file)}{_hint(error, file)}") from error
    return module


def _hint(error: BaseException, file: str) -> str:
    missing = error.name if isinstance(error, ModuleNotFoundError) else None
    if missing and (Path(file).parent / f"{missing.partition('.')[0]}.py").exists():
        return "; a norm of your own must be in a single file, since only that file is hashed: merge the two files"
    return ""
