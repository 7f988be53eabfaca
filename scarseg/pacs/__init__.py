"""Archives (PACS): find studies, fetch series, send results, receive images.

The only package that knows pynetdicom and dicomweb-client, which are loaded when an archive is
first used. It gets and leaves bytes and folders; what is in the images is the business of ``io``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scarseg.pacs.addresses import Server

if TYPE_CHECKING:
    from scarseg.pacs.archive import Archive


def connect(server: Server) -> Archive:
    """Return the archive behind an address; the network is first used by its methods."""
    if server.is_web:
        from scarseg.pacs.web import WebArchive

        return WebArchive(server)
    from scarseg.pacs.dimse import DimseArchive

    return DimseArchive(server)
