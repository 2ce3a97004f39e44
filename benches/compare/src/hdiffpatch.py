"""Drives the Python package hdiffpatch: version | start | diff PEER OLD NEW PATCH | apply OLD PATCH REBUILT."""
import sys
import hdiffpatch


def read(path):
    with open(path, "rb") as file:
        return file.read()


def write(path, content):
    with open(path, "wb") as file:
        file.write(content)


verb, arguments = sys.argv[1], sys.argv[2:]
if verb == "version":
    from importlib.metadata import version

    print(version("hdiffpatch"))
elif verb == "diff":
    peer, old, new, patch = arguments
    if peer == "hdiffpatch-zstd":
        packed = hdiffpatch.ZStdConfig(level=22)
    else:
        packed = hdiffpatch.Lzma2Config(level=9, window=25)
    write(patch, hdiffpatch.diff(read(old), read(new), packed, validate=False))
elif verb == "apply":
    old, patch, rebuilt = arguments
    write(rebuilt, hdiffpatch.apply(read(old), read(patch)))
else:
    assert verb == "start", verb  # nothing but the start of the interpreter, which is not the codec's cost
