"""PyGithub, a client that knows nothing of Sysforge, against the fake GitHub.

Usage: by_pygithub.py API_URL REPOSITORY
"""

import pathlib
import sys
import tempfile

import github

API, REPOSITORY = sys.argv[1], sys.argv[2]


def main():
    client = github.Github(auth=github.Auth.Token("writer"), base_url=API, retry=None)
    repository = client.get_repo(REPOSITORY)
    release = repository.create_git_release("v2.0.0", "Two", "By PyGithub", draft=True)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "some file.bin")
        path.write_bytes(b"some bytes" * 1000)
        asset = release.upload_asset(str(path), label="a label", name="some file.bin")
        assert asset.name == "some.file.bin", asset.name
        assert asset.size == 10_000, asset.size
        target = pathlib.Path(folder, "back.bin")
        asset.download_asset(str(target))
        assert target.read_bytes() == path.read_bytes()
    try:
        repository.get_release("v2.0.0")
        raise AssertionError("a draft was found by its tag")
    except github.UnknownObjectException:
        pass
    release = release.update_release("Two", "By PyGithub", draft=False)
    assert not release.draft
    assert repository.get_release("v2.0.0").id == release.id
    assert [asset.name for asset in release.get_assets()] == ["some.file.bin"]
    release.delete_release()
    print("figure contract_pygithub 1 count")


main()
