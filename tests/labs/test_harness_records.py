"""A lab that reads this review is run anew where a record or an abstract has changed."""

import shutil

from ktlabs.bench import runner as lab


def test_the_digest_covers_records_and_abstracts_of_a_lab_that_reads_them(monkeypatch, tmp_path):
    for name in ("papers", "daily-papers"):
        shutil.copytree(lab.DATA / name, tmp_path / name)
    monkeypatch.setattr(lab, "DATA", tmp_path)

    def digests():
        return lab.digest("mechgpt"), lab.digest("kgcl")

    first, other = digests()
    for path in (tmp_path / "papers" / "kgcl.yaml", tmp_path / "daily-papers" / "daily-papers.txt"):
        before = path.read_bytes()
        path.write_bytes(before + b"\n")
        assert digests()[0] != first
        assert digests()[1] == other
        path.write_bytes(before)
    assert digests() == (first, other)
