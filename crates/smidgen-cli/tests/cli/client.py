"""The reference client of TUF over HTTP: brings a target up to date as any program would that knows nothing of smidgen.

    client.py FOLDER URL ROOT TARGET    keep metadata in FOLDER, start to trust from ROOT, print the digest of TARGET
"""

import hashlib
import sys
from pathlib import Path

from tuf.ngclient import Updater

folder, url, root, target = sys.argv[1:]
downloads = Path(folder) / "downloads"
downloads.mkdir(parents=True, exist_ok=True)
updater = Updater(
    metadata_dir=folder,
    metadata_base_url=f"{url}metadata/",
    target_dir=str(downloads),
    target_base_url=f"{url}targets/",
    bootstrap=Path(root).read_bytes(),
)
updater.refresh()
info = updater.get_targetinfo(target)
assert info is not None, f"{target} is not listed"
print(hashlib.sha256(Path(updater.download_target(info)).read_bytes()).hexdigest())
