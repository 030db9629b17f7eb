"""An MLflow artifact repository for ``ftp://`` and ``ftps://`` addresses that never shows a partial file."""


def __getattr__(name: str) -> type:
    """Return the repository's class, which is imported when it is asked for.

    MLflow asks for it while it is itself being imported, and would silently take its own client if that failed.
    """
    if name != "FTPArtifactRepository":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from mlflow_ftp.repository import FTPArtifactRepository

    return FTPArtifactRepository


# Before our modules, whichever of them is imported first: this is what asks for the class.
import mlflow  # noqa: E402, F401

__all__ = ["FTPArtifactRepository"]
