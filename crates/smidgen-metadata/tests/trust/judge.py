"""The reference implementation of TUF as a judge: reads what we signed, signs what we must read.

    judge.py read FOLDER TARGET     verify FOLDER/metadata, download TARGET, write canonical forms to FOLDER/canonical
    judge.py write FOLDER           make a repository in FOLDER/metadata
    judge.py canonical              one JSON document a line in, the hexadecimal canonical form of each out
    judge.py delegated              one JSON [patterns, prefixes, bits, path] a line in; out which of the three hold it
"""

import hashlib
import json
import sys
import tempfile
from datetime import datetime, timezone
from pathlib import Path
from urllib.parse import unquote, urlparse

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from securesystemslib.formats import encode_canonical
from securesystemslib.signer import CryptoSigner, SSlibKey
from tuf.api import exceptions
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    SuccinctRoles,
    TargetFile,
    Targets,
    Timestamp,
)
from tuf.api.serialization.json import JSONSerializer
from tuf.ngclient import FetcherInterface, Updater

EXPIRES = datetime(2100, 1, 1, tzinfo=timezone.utc)
# What a writer may put beside the specified members: nested, beyond ASCII, with characters that JSON must escape.
UNKNOWN = {"x-other": {"é": ["e\u0301", "\U0001f600", 'quote " and \\', "line\nfeed\t", -7, None, True, {}, []]}}


class FolderFetcher(FetcherInterface):
    """Takes files from a folder instead of the network."""

    def __init__(self, folder: Path):
        self.folder = folder

    def _fetch(self, url: str):
        path = self.folder / unquote(urlparse(url).path).lstrip("/")
        if not path.is_file():
            raise exceptions.DownloadHTTPError(f"no file {path}", 404)
        yield path.read_bytes()


def read(folder: Path, target: str) -> None:
    with tempfile.TemporaryDirectory() as local:
        (Path(local) / "targets").mkdir()
        updater = Updater(
            metadata_dir=local,
            metadata_base_url="http://judge/metadata/",
            target_dir=str(Path(local) / "targets"),
            target_base_url="http://judge/targets/",
            fetcher=FolderFetcher(folder),
            bootstrap=(folder / "metadata" / "1.root.json").read_bytes(),
        )
        updater.refresh()
        info = updater.get_targetinfo(target)
        assert info is not None, f"{target} is not listed"
        downloaded = Path(updater.download_target(info)).read_bytes()
        print(hashlib.sha256(downloaded).hexdigest())
    for path in sorted((folder / "metadata").glob("*.json")):
        metadata = Metadata.from_bytes(path.read_bytes())
        (folder / "canonical").mkdir(exist_ok=True)
        (folder / "canonical" / path.name).write_bytes(metadata.signed_bytes)
        if isinstance(metadata.signed, Root):
            for keyid, key in metadata.signed.keys.items():
                public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(key.keyval["public"]))
                assert SSlibKey.from_crypto(public).keyid == keyid, f"{keyid} is not the id of its key"


def write(folder: Path) -> None:
    signers = {name: CryptoSigner.generate_ed25519() for name in ["a", "b", "c", "timestamp", "snapshot", "targets", "d"]}
    place = folder / "metadata"
    place.mkdir(parents=True)

    def save(name: str, metadata: Metadata) -> bytes:
        data = metadata.to_bytes(JSONSerializer(compact=False))
        (place / name).write_bytes(data)
        return data

    def sign(name: str, signed, *names: str) -> bytes:
        signed.unrecognized_fields.update(UNKNOWN)
        metadata = Metadata(signed)
        for signer in names:
            metadata.sign(signers[signer], append=True)
        return save(name, metadata)

    root = Root(expires=EXPIRES, consistent_snapshot=True)
    for name in ["a", "b", "c"]:
        root.add_key(signers[name].public_key, "root")
    root.roles["root"].threshold = 2
    for name in ["timestamp", "snapshot", "targets"]:
        root.add_key(signers[name].public_key, name)
    sign("1.root.json", root, "a", "c")
    # The second root has another timestamp key and drops one of its own.
    root.version = 2
    root.revoke_key(signers["timestamp"].public_key.keyid, "timestamp")
    signers["timestamp"] = CryptoSigner.generate_ed25519()
    root.add_key(signers["timestamp"].public_key, "timestamp")
    root.revoke_key(signers["a"].public_key.keyid, "root")
    root.roles["root"].keyids.sort()  # a set, which we write sorted
    sign("2.root.json", root, "a", "b", "c")

    delegate = signers["d"].public_key
    keys = {delegate.keyid: delegate}
    roles = {
        name: DelegatedRole(name, [delegate.keyid], 1, terminating, **scope)
        for name, terminating, scope in [
            ("editor", True, {"paths": ["editor/*/*"]}),
            ("../../odd name/é", False, {"path_hash_prefixes": ["00", "0f"]}),
        ]
    }
    hashes = {"sha256": hashlib.sha256(b"file").hexdigest(), "sha512": hashlib.sha512(b"file").hexdigest()}
    targets = Targets(version=3, expires=EXPIRES, delegations=Delegations(keys, roles))
    targets.targets["folder/a file é"] = TargetFile(4, hashes, "folder/a file é", {"custom": {"any": [1, "x"]}})
    data = sign("3.targets.json", targets, "targets")
    listed = MetaFile(3, len(data), {"sha512": hashlib.sha512(data).hexdigest()})
    snapshot = Snapshot(version=5, expires=EXPIRES, meta={"targets.json": listed, "editor.json": MetaFile(1)})
    data = sign("5.snapshot.json", snapshot, "snapshot")
    listed = MetaFile(5, len(data), {"sha256": hashlib.sha256(data).hexdigest()})
    sign("timestamp.json", Timestamp(version=9, expires=EXPIRES, snapshot_meta=listed), "timestamp")

    bins = Targets(version=1, expires=EXPIRES, delegations=Delegations(keys, succinct_roles=SuccinctRoles([delegate.keyid], 1, 8, "bin")))
    sign("bins.json", bins, "targets")


def canonical() -> None:
    for line in sys.stdin.buffer:
        print(encode_canonical(json.loads(line)).encode("utf-8").hex())


def delegated() -> None:
    for line in sys.stdin.buffer:
        patterns, prefixes, bits, path = json.loads(line)
        by_path = DelegatedRole("a", [], 1, False, paths=patterns).is_delegated_path(path)
        by_digest = DelegatedRole("a", [], 1, False, path_hash_prefixes=prefixes).is_delegated_path(path)
        role = SuccinctRoles([], 1, bits, "bin").get_role_for_target(path)
        print(json.dumps([by_path, by_digest, role], separators=(",", ":")))


match sys.argv[1:]:
    case ["read", folder, target]:
        read(Path(folder), target)
    case ["write", folder]:
        write(Path(folder))
    case ["canonical"]:
        canonical()
    case ["delegated"]:
        delegated()
    case _:
        sys.exit(__doc__)
