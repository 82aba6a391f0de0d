"""Blocks that are kept: nothing is lost, nothing damaged is believed, and nothing is mixed."""

import errno
import io
import json
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
from shell import until

from theorylab import _files
from theorylab.montecarlo import (
    ArrayMoments,
    CheckpointFolder,
    JoblibExecutor,
    Study,
    measurement,
    replicate,
    replicate_all,
)
from theorylab.montecarlo.checkpoints import decode, encode

HEADER = {"study": "walk", "block": 3, "configuration": "c"}
CONFIGURATION = {"theorylab": "1.0", "seed": 0, "sizes": {"block": 4, "points": [1, 2]}}


def walk(rng, size):
    """A number and a map a replicate."""
    maps = rng.standard_normal((size, 2, 3))
    return measurement(
        {"sum": maps.sum(axis=(1, 2)), "top": maps.max(axis=(1, 2))}, {"m": ArrayMoments.of(maps)}
    )


def same(one, other):
    """Bit for bit."""
    assert encode(one, {}) == encode(other, {})


class Memory:
    """Checkpoints in memory; `asked` and `saved` tell what happened."""

    def __init__(self, limit=10**9):
        self.blocks, self.limit, self.saved = {}, limit, []

    def load(self, study, block):
        data = self.blocks.get((study, block))
        return None if data is None else decode(data, {})

    def save(self, study, block, measured):
        if len(self.saved) >= self.limit:
            raise KeyboardInterrupt
        self.saved.append((study, block))
        self.blocks[study, block] = encode(measured, {})


def test_a_block_comes_back_bit_by_bit():
    block = walk(np.random.default_rng(0), 5)
    data = encode(block, HEADER)
    assert data == encode(block, HEADER)
    back = decode(data, HEADER)
    assert back.statistics.names == ("sum", "top")
    assert back.replicates == back.maps["m"].count == 5
    for name in ("mean", "deviations"):
        np.testing.assert_array_equal(getattr(back.statistics, name), getattr(block.statistics, name))
        np.testing.assert_array_equal(getattr(back.maps["m"], name), getattr(block.maps["m"], name))
    back.merge(walk(np.random.default_rng(1), 5))  # its arrays can be written to


def test_a_block_is_an_ordinary_archive_without_pickles():
    with np.load(io.BytesIO(encode(walk(np.random.default_rng(0), 5), HEADER)), allow_pickle=False) as arrays:
        assert {"header", "mean", "deviations", "map0_mean"} <= set(arrays.files)
        assert json.loads(arrays["header"].tobytes())["block"] == 3


def test_every_damaged_byte_is_noticed():
    data = encode(walk(np.random.default_rng(0), 3), HEADER)
    for place in range(0, len(data), 7):
        damaged = bytearray(data)
        damaged[place] ^= 4
        with pytest.raises(ValueError, match="the checksum is wrong"):
            decode(bytes(damaged), HEADER)
    for cut in (0, 1, 63, 64, len(data) - 1):
        with pytest.raises(ValueError, match="the checksum is wrong"):
            decode(data[:cut], HEADER)


def test_a_block_of_something_else_is_not_believed():
    data = encode(walk(np.random.default_rng(0), 3), HEADER)
    with pytest.raises(ValueError, match="block is 3, not 4"):
        decode(data, HEADER | {"block": 4})
    with pytest.raises(ValueError, match="configuration is 'c', not 'd'"):
        decode(data, HEADER | {"configuration": "d"})


class Bomb:
    def __reduce__(self):
        return (os._exit, (9,))


def test_no_code_of_a_block_is_run(tmp_path):
    """Even with a right checksum: an array of objects is refused."""
    import hashlib
    import zipfile

    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        with archive.open("header.npy", "w") as file:
            np.lib.format.write_array(file, np.array([Bomb()], dtype=object), allow_pickle=True)
        archive.comment = b"0" * 64
    content = stream.getvalue()[:-64]
    data = content + hashlib.sha256(content).hexdigest().encode()
    with pytest.raises(ValueError, match="pickle"):
        decode(data, HEADER)
    said = []
    with CheckpointFolder(tmp_path, CONFIGURATION, warn=said.append) as kept:
        kept.save("walk", 0, walk(np.random.default_rng(0), 3))
        for content in (data, pickle.dumps(Bomb()), b""):
            kept.path("walk", 0).write_bytes(content)
            assert kept.load("walk", 0) is None
    assert len(said) == 1  # once for each block
    assert "000000.npz: the block is damaged (" in said[0]


def test_interrupted_runs_end_in_the_same_bits():
    studies = [Study("a", walk, 40, 4, 1), Study("b", walk, 21, 4, 2)]
    whole = replicate_all(studies)
    same(whole[0], replicate(walk, 40, block=4, seed=1))
    kept = Memory(limit=5)
    with pytest.raises(KeyboardInterrupt):
        replicate_all(studies, checkpoints=kept)
    del kept.blocks["a", 2]  # one of the middle was damaged
    kept.limit = 9
    with pytest.raises(KeyboardInterrupt):
        replicate_all(studies, checkpoints=kept)
    kept.limit = 100
    calls = []
    resumed = replicate_all(studies, checkpoints=kept, progress=lambda *call: calls.append(call))
    for one, other in zip(resumed, whole, strict=True):
        same(one, other)
    # No block was run twice but the one that was lost.
    assert sorted(kept.saved) == sorted(
        [("a", b) for b in range(10)] + [("b", b) for b in range(6)] + [("a", 2)]
    )
    assert calls[-1] == ("b", 24, 24)
    before = len(kept.saved)
    again = replicate_all(studies, checkpoints=kept)
    assert len(kept.saved) == before
    for one, other in zip(again, whole, strict=True):
        same(one, other)


class Backwards:
    """Runs everything, and hands it back in the worst order."""

    def run(self, tasks, *, keep=False):
        from theorylab.montecarlo.tasks import run_task

        yield from reversed([(key, run_task(task)) for key, task in tasks])


def sure(measured):
    value, error = measured.statistics.estimate(lambda m: m["top"])
    return error < 0.05 * value


def test_the_order_of_blocks_decides_neither_numbers_nor_when_to_stop():
    study = Study("walk", walk, 400, 10, 7, stop=sure)
    (alone,) = replicate_all([study])
    assert 10 < alone.replicates < 400
    assert sure(alone)
    for executor in (Backwards(), JoblibExecutor(2)):
        for kept in (None, Memory()):
            (other,) = replicate_all([study], executor=executor, checkpoints=kept)
            same(alone, other)
            # Blocks beyond the end are there, and are not used.
            if kept is not None and isinstance(executor, Backwards):
                assert len(kept.saved) == 40
                same(alone, replicate_all([study], checkpoints=kept)[0])


def test_a_stopped_study_runs_no_further_block():
    kept = Memory()
    (measured,) = replicate_all([Study("walk", walk, 400, 10, 7, stop=sure)], checkpoints=kept)
    assert len(kept.saved) == measured.replicates // 10


def test_studies_of_one_name_are_refused():
    with pytest.raises(ValueError, match="studies: two are called 'a'"):
        replicate_all([Study("a", walk, 4, 4, 1), Study("a", walk, 4, 4, 2)])


def test_a_folder_keeps_and_gives_back(tmp_path):
    study = Study("point N=16", walk, 20, 4, 1)
    with CheckpointFolder(tmp_path / "new" / "run", CONFIGURATION) as kept:
        (first,) = replicate_all([study], checkpoints=kept)
        assert kept.path("../x y", 0).parent.parent == tmp_path / "new" / "run" / "blocks"
    files = sorted((tmp_path / "new" / "run" / "blocks" / "point-N=16").iterdir())
    assert [file.name for file in files] == [f"{b:06d}.npz" for b in range(5)]
    (files[1].parent / ".000001.npz.0a.tmp").write_bytes(b"of a process that was killed")
    files[3].write_bytes(files[2].read_bytes())  # whole, but another block
    files[1].unlink()
    said = []
    with CheckpointFolder(tmp_path / "new" / "run", CONFIGURATION, warn=said.append) as kept:
        (second,) = replicate_all([study], checkpoints=kept)
    same(first, second)
    assert len(said) == 1
    assert "000003.npz: the block is damaged (block is 2, not 3) and will be computed again" in said[0]
    assert sorted(file.name for file in files[1].parent.iterdir()) == [f"{b:06d}.npz" for b in range(5)]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seed": 1}, "holds another study: seed is 0 there, 1 here; choose another folder"),
        ({"theorylab": "2.0"}, "theorylab is 1.0 there, 2.0 here"),
        ({"sizes": {"block": 5, "points": [1, 3]}}, "sizes.block is 4 there, 5 here; sizes.points is"),
        ({"more": None}, "more is absent there, null here"),
    ],
)
def test_another_configuration_is_refused_by_name(tmp_path, change, words):
    with CheckpointFolder(tmp_path, CONFIGURATION):
        pass
    with (
        pytest.raises(ValueError, match="holds another study") as caught,
        CheckpointFolder(tmp_path, CONFIGURATION | change),
    ):
        pass
    assert words in str(caught.value)
    with CheckpointFolder(tmp_path, CONFIGURATION):  # and the folder is as it was
        pass


def test_what_is_no_folder_of_ours_is_refused(tmp_path):
    (tmp_path / "results.json").write_text("{}")
    with pytest.raises(ValueError, match="holds results of something else"), CheckpointFolder(tmp_path, {}):
        pass
    (tmp_path / "study.json").write_text("{")
    with pytest.raises(ValueError, match=r"study\.json: is damaged"), CheckpointFolder(tmp_path, {}):
        pass
    with (
        pytest.raises(NotADirectoryError, match="is a file"),
        CheckpointFolder(tmp_path / "results.json", {}),
    ):
        pass
    with pytest.raises(OSError, match="cannot be written"), CheckpointFolder(tmp_path / "results.json/x", {}):
        pass


def test_one_process_at_a_time(tmp_path):
    code = (
        "import sys, time; from theorylab.montecarlo import CheckpointFolder\n"
        f"with CheckpointFolder({str(tmp_path)!r}, {{}}): print('in', flush=True); time.sleep(600)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout.readline() == "in\n"
        with (
            pytest.raises(BlockingIOError, match="another process is working in this folder"),
            CheckpointFolder(tmp_path, {}),
        ):
            pass
    finally:
        holder.kill()
        holder.communicate()

    def is_free():
        try:
            with CheckpointFolder(tmp_path, {}):
                return True
        except BlockingIOError:
            return False

    until(is_free)  # a process that was killed holds nothing


def test_a_full_disk_keeps_what_is_done(tmp_path, monkeypatch):
    study = Study("walk", walk, 40, 4, 1)
    write, calls = _files.write_atomically, []

    def full(path, content):
        calls.append(path)
        if len(calls) > 5:
            raise OSError(errno.ENOSPC, "cannot be written: No space left on device", str(path))
        return write(path, content)

    monkeypatch.setattr(_files, "write_atomically", full)
    with pytest.raises(OSError, match="No space left on device"), CheckpointFolder(tmp_path, {}) as kept:
        replicate_all([study], checkpoints=kept)
    monkeypatch.undo()
    assert len(list((tmp_path / "blocks" / "walk").iterdir())) == 4  # and study.json
    with CheckpointFolder(tmp_path, {}) as kept:
        same(replicate_all([study], checkpoints=kept)[0], replicate_all([study])[0])


def test_a_folder_that_cannot_be_written(tmp_path, monkeypatch):
    def denied(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied", "inner path")

    monkeypatch.setattr("pathlib.Path.mkdir", denied)
    with pytest.raises(PermissionError) as caught, CheckpointFolder(tmp_path / "x", {}):
        pass
    assert caught.value.filename == str(tmp_path / "x")
    assert caught.value.strerror == "cannot be written: Permission denied"


def dies(rng, size):
    os._exit(1)


def test_a_worker_process_that_dies_is_one_clear_error():
    with pytest.raises(ChildProcessError, match="a worker process died"):
        replicate_all([Study("a", dies, 8, 1, 0)], executor=JoblibExecutor(2))


def test_a_worker_of_another_version_is_refused():
    from theorylab.montecarlo.executors import _on_worker
    from theorylab.montecarlo.tasks import Task

    with pytest.raises(ValueError, match=r"a worker has theorylab .*, this study is of 0\.0\.9"):
        _on_worker("0.0.9", walk, Task(walk, np.random.SeedSequence(0), 2))
