"""The model's file in a bundle: skops, or a joblib pickle where both sides opt in."""

from __future__ import annotations

import io
import warnings
import zipfile
from enum import StrEnum

import cloudpickle
import joblib
import skops.io
from sklearn.exceptions import InconsistentVersionWarning

from skfleet_common.contracts.errors import BundleRefused, NotReproducibleHere, Refused, shown
from skfleet_common.model.allowlist import foreign_types
from skfleet_common.model.allowlist import load_model as load_skops


class ModelFormat(StrEnum):
    """How a bundle's model is written down."""

    #: Arrays and names of types; reading it runs no code that the file chooses.
    SKOPS = "skops"
    #: A pickle: reading it runs what the file says.
    JOBLIB = "joblib"

    @property
    def file(self) -> str:
        """The name of the model's file."""
        return f"model.{self}"


def dump_model(model: object, model_format: ModelFormat, *, of: str | None = None) -> bytes:
    """Give the model's file; ``of`` is what the user calls it.

    Raises:
        Refused: the model cannot be written so, or workers would not read it.
    """
    named = f"The model, a {type(model).__name__}," if of is None else of
    hint = "" if model_format is ModelFormat.JOBLIB else ", or try --format joblib"
    try:
        if model_format is ModelFormat.JOBLIB:
            # A pickle as joblib's, with what the user's own script defines in it.
            pickled: bytes = cloudpickle.dumps(model)
            return pickled
        raw: bytes = skops.io.dumps(model, compression=zipfile.ZIP_DEFLATED)
        foreign = foreign_types(raw)
    except Exception as exc:
        raise Refused(
            f"{named} cannot be written as {model_format} "
            f"({type(exc).__name__}: {shown(str(exc))}); leave out of it what holds files, connections, "
            f"threads or functions of your own{hint}."
        ) from exc
    if foreign:
        raise Refused(
            f"{named} holds {shown(foreign[0])}, which is not on the allow-list of types that workers read; "
            f"make it of scikit-learn's own classes{hint}."
        )
    return raw


def load_model(raw: bytes, written: str, *, allow_joblib: bool) -> object:
    """Give the model of a file whose digest was checked.

    Raises:
        BundleRefused: it holds what may not be read, or is no such file.
        NotReproducibleHere: it is a pickle, and this side has not opted in.
    """
    if written == ModelFormat.SKOPS:
        return load_skops(raw)
    check_format(written, allow_joblib=allow_joblib)
    try:
        with warnings.catch_warnings():
            # Versions were checked against the skew policy, and golden rows will be replayed.
            warnings.simplefilter("ignore", InconsistentVersionWarning)
            model: object = joblib.load(io.BytesIO(raw))
    except Exception as exc:
        raise NotReproducibleHere(
            f"The bundle's model cannot be unpickled here ({type(exc).__name__}: {shown(str(exc))}); install "
            "here the packages that it was made with."
        ) from exc
    return model


def check_format(written: str, *, allow_joblib: bool) -> None:
    """Refuse a format that is unknown, or not allowed on this side.

    Raises:
        BundleRefused: nobody here reads it.
        NotReproducibleHere: it is a pickle, and this side has not opted in.
    """
    if written not in set(ModelFormat):
        raise BundleRefused(
            f"The bundle's format is {shown(written)}, but only {' and '.join(ModelFormat)} are read here; "
            "train it again."
        )
    if written == ModelFormat.JOBLIB and not allow_joblib:
        raise NotReproducibleHere(
            "The bundle was made with --format joblib, a pickle that runs code when it is read, and this "
            "side has not opted in; set SKFLEET_ALLOW_JOBLIB=true here (every worker and client that uses "
            "the model needs it), or make the bundle again without --format joblib."
        )
