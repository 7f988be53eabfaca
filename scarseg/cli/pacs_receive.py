"""``scarseg pacs receive``: a storage SCP that runs until Ctrl-C."""

from __future__ import annotations

import argparse
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from scarseg.cli.console import DONE, say
from scarseg.cli.options import seconds, tcp_port
from scarseg.cli.parser import Commands

if TYPE_CHECKING:
    from scarseg.errors import ScarsegError
    from scarseg.pacs.receiving import ReceivedSeries


def add_receive(verbs: Commands) -> None:
    """Add ``scarseg pacs receive``."""
    receive = verbs.add_parser(
        "receive",
        help="take images that scanners and archives send",
        description="Listen for images (C-STORE, C-ECHO) until Ctrl-C. A series appears as"
        " DIR/SERIES_UID when no image of it has come for a while and no association with it was"
        " cut; one line each. What a cut or a kill left goes on with the next images.",
    )
    receive.add_argument(
        "--host",
        default="127.0.0.1",
        metavar="H",
        help="address to listen on; 0.0.0.0 for all (default: 127.0.0.1, this machine alone)",
    )
    receive.add_argument("--port", type=tcp_port, default=11112, metavar="N", help="default: 11112")
    receive.add_argument(
        "--aet", default="SCARSEG", metavar="CALLED", help="own AE title (default: SCARSEG)"
    )
    receive.add_argument(
        "--from",
        dest="allowed",
        action="append",
        default=[],
        metavar="AET",
        help="AE title that may send; may be repeated (default: any)",
    )
    receive.add_argument(
        "--settle",
        type=seconds,
        default=5.0,
        metavar="S",
        help="seconds after the last image until a series appears (default: 5)",
    )
    receive.add_argument("--cert", type=Path, metavar="PEM", help="own certificate: TLS alone")
    receive.add_argument("--key", type=Path, metavar="PEM", help="its key, where not in --cert")
    receive.add_argument(
        "--ca", type=Path, metavar="PEM", help="with --cert: callers need a certificate of this CA"
    )
    receive.add_argument(
        "-o", "--output", type=Path, required=True, metavar="DIR", help="folder for the series"
    )
    receive.set_defaults(run=_receive)


def _receive(options: argparse.Namespace) -> int:
    from scarseg.errors import PacsError
    from scarseg.pacs.receiving import Receiver, ReceiveSettings

    if options.cert is None and (options.ca or options.key):
        raise PacsError("E_PACS_CONFIG", "--ca and --key are of no use without --cert.")
    settings = ReceiveSettings(
        folder=options.output,
        host=options.host,
        port=options.port,
        ae_title=options.aet,
        allowed=tuple(options.allowed),
        settle_s=options.settle,
        ca=options.ca,
        cert=options.cert,
        key=options.key,
    )
    receiver = Receiver(settings, _print_series, _say_error)
    receiver.start()
    say(f"{options.aet} listens on {options.host}, port {options.port}; Ctrl-C ends it.")
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        pass
    finally:
        receiver.stop()
    if receiver.n_arriving:
        say(f"{receiver.n_arriving} series have not arrived whole and stay hidden.")
    return DONE


def _print_series(series: ReceivedSeries) -> None:
    print(f"{series.path}: {series.n_images} images", flush=True)


def _say_error(error: ScarsegError) -> None:
    say(f"{error.code}: {error.message}")
