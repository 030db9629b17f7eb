"""Folders wherever Spark can write: on a disk, in HDFS, in an object store."""

import uuid

from pyspark.sql import SparkSession


class Folder:
    """A folder that gets its name when it is whole; until then it is a hidden one beside.

    A rename is atomic on a disk and in HDFS. In an object store it copies; there, trust the ``_SUCCESS`` in the folder.
    """

    def __init__(self, session: SparkSession, location: str):
        """Know the folder by its address; nothing is written yet."""
        self.location = location
        self._path = session._jvm.org.apache.hadoop.fs.Path
        self.final = self._path(location)
        self.files = self.final.getFileSystem(session._jsc.hadoopConfiguration())
        self.beside = self._hidden("partial", uuid.uuid4().hex)

    def _hidden(self, state: str, mark: str):
        return self._path(self.final.getParent(), f".{self.final.getName()}.{state}-{mark}")

    def prepare(self) -> None:
        """Remove what killed jobs have left, and bring back what one of them has only taken away."""
        for status in self.files.globStatus(self._hidden("old", "*")) or []:
            if self.files.exists(self.final):
                self.files.delete(status.getPath(), True)
            else:
                self.files.rename(status.getPath(), self.final)
        for status in self.files.globStatus(self._hidden("partial", "*")) or []:
            self.files.delete(status.getPath(), True)
        self.files.mkdirs(self.beside)

    def finish(self) -> None:
        """Give the folder its name, in place of an older one."""
        old = self._hidden("old", uuid.uuid4().hex)
        if self.files.exists(self.final):
            self.files.rename(self.final, old)
        self.files.rename(self.beside, self.final)
        self.files.delete(old, True)

    def discard(self) -> None:
        """Remove what was written, unless it is finished."""
        self.files.delete(self.beside, True)

    def remove(self) -> None:
        """Remove the finished folder, if there is one."""
        self.files.delete(self.final, True)

    def names(self) -> list[str]:
        """Return the names of the files in the folder, or of the file that it is; none if it does not exist."""
        if not self.files.exists(self.final):
            return []
        names = [status.getPath().getName() for status in self.files.listStatus(self.final)]
        return [name for name in names if not name.startswith((".", "_"))]
