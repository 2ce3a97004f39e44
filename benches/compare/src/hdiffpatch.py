"""Drives the Python package hdiffpatch: version | diff PEER OLD NEW PATCH | apply OLD PATCH REBUILT.

Before a job it prints the seconds of CPU that went into starting Python, which are not the codec's.
"""
import sys
import time

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
    sys.exit()

print("start", time.process_time())
if verb == "diff":
    peer, old, new, patch = arguments
    if peer == "hdiffpatch-zstd":
        packed = hdiffpatch.ZStdConfig(level=22)
    else:
        packed = hdiffpatch.Lzma2Config(level=9, window=25)
    write(patch, hdiffpatch.diff(read(old), read(new), packed, validate=False))
else:
    old, patch, rebuilt = arguments
    write(rebuilt, hdiffpatch.apply(read(old), read(patch)))
