"""``scarseg pacs``: archives from the command line."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from scarseg.cli.console import DONE, NOTHING_DONE, SOME_FAILED, print_tables, progress_bar, say
from scarseg.cli.options import seconds, tcp_port
from scarseg.cli.pacs_receive import add_receive
from scarseg.cli.parser import Commands, Parser

if TYPE_CHECKING:
    from scarseg.pacs.addresses import Server
    from scarseg.pacs.archive import ArchivedSeries, ArchivedStudy

SERVER = "dicom://CALLED@HOST:PORT, dicoms://, http(s)://.../dicom-web, or a name of servers.toml"
_PLAIN_WIDTH = 200


def add_pacs(commands: Commands) -> None:
    """Add ``scarseg pacs`` with its verbs."""
    pacs = commands.add_parser(
        "pacs",
        help="find, fetch, send and receive: archives",
        description="Speak to an archive by DIMSE or DICOMweb. The network is used for the server"
        " that is named, and for nothing else. Exit status: 0 all is well, 2 some series or"
        " instance failed, 1 nothing could be done.",
    )
    verbs: Commands = pacs.add_subparsers(metavar="VERB", required=True, parser_class=Parser)
    _add_test(verbs)
    _add_find(verbs)
    _add_fetch(verbs)
    _add_send(verbs)
    add_receive(verbs)


def add_connection(verb: Parser) -> None:
    """Add the server and the options of a connection."""
    verb.add_argument("server", metavar="SERVER", help=SERVER)
    verb.add_argument("--aet", metavar="CALLING", help="own AE title (default: SCARSEG)")
    verb.add_argument(
        "--timeout", type=seconds, metavar="S", help="seconds of silence to wait (default: 30)"
    )
    verb.add_argument(
        "--ca", type=Path, metavar="PEM", help="certificates to trust instead of the system's"
    )
    verb.add_argument("--cert", type=Path, metavar="PEM", help="own certificate")
    verb.add_argument("--key", type=Path, metavar="PEM", help="its key, where not in --cert")


def add_retrieval(verb: Parser) -> None:
    """Add how images are to come by DIMSE."""
    verb.add_argument(
        "--retrieve",
        choices=("get", "move"),
        help="C-GET, or C-MOVE to --port (default: get; DICOMweb has its own way)",
    )
    verb.add_argument(
        "--port",
        type=tcp_port,
        metavar="N",
        help="port that C-MOVE sends to: the archive must know it with --aet (default: 11112)",
    )


def server_of(options: argparse.Namespace) -> Server:
    """Return the server that the options name.

    Raises:
        PacsError: E_PACS_CONFIG.
    """
    from scarseg.pacs import addresses

    return addresses.changed(
        addresses.find_server(options.server),
        retrieve=getattr(options, "retrieve", None),
        ae_title=options.aet,
        storage_port=getattr(options, "port", None),
        timeout_s=options.timeout,
        ca=options.ca,
        cert=options.cert,
        key=options.key,
    )


def _add_test(verbs: Commands) -> None:
    test = verbs.add_parser("test", help="try whether a server answers, to us")
    add_connection(test)
    test.set_defaults(run=_test)


def _test(options: argparse.Namespace) -> int:
    from scarseg import pacs

    print(pacs.connect(server_of(options)).test())
    return DONE


def _add_find(verbs: Commands) -> None:
    find = verbs.add_parser(
        "find",
        help="search an archive for studies or series",
        description="List the studies that match all that is given; * and ? stand for any text"
        " and any character. Nothing found is an empty list and no error.",
    )
    add_connection(find)
    find.add_argument("--patient", default="", metavar="P", help="patient ID")
    find.add_argument("--name", default="", metavar="N", help="patient's name (DOE^J*)")
    find.add_argument("--accession", default="", metavar="A", help="accession number")
    find.add_argument(
        "--date", default="", metavar="D[-D]", help="day or days of the study (20240101-20240131)"
    )
    find.add_argument("--modality", default="", metavar="M", help="a modality in the study (MR)")
    find.add_argument("--study", default="", metavar="UID", help="study UID")
    find.add_argument("--series", action="store_true", help="list the series of these studies")
    find.add_argument("--json", action="store_true", help="for programs, on stdout")
    find.set_defaults(run=_find)


def _find(options: argparse.Namespace) -> int:
    from scarseg import pacs
    from scarseg.pacs.archive import Query

    query = Query(
        patient_id=options.patient,
        patient_name=options.name,
        accession_number=options.accession,
        dates=options.date,
        modality=options.modality,
        study_uid=options.study,
    )
    archive = pacs.connect(server_of(options))
    studies = archive.find_studies(query)
    found: Sequence[ArchivedStudy | ArchivedSeries] = studies
    if options.series:
        found = [one for study in studies for one in archive.find_series(study.study_uid)]
    rows = [asdict(one) for one in found]
    if options.json:
        print(json.dumps(rows, indent=1, ensure_ascii=False))
    elif rows:
        _print_rows(rows)
    if options.series:
        say(f"{len(rows)} series")
    else:
        say("1 study" if len(rows) == 1 else f"{len(rows)} studies")
    return DONE


def _print_rows(rows: Sequence[dict[str, object]]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for name in rows[0]:
        table.add_column(name, overflow="fold", no_wrap=name.endswith("_uid"))
    for row in rows:
        # Text, not markup: brackets in a description mean nothing.
        table.add_row(*(Text(_cell(value)) for value in row.values()))
    print_tables([table], _PLAIN_WIDTH)


def _cell(value: object) -> str:
    if isinstance(value, tuple):
        return " ".join(value)
    text = "" if value is None else str(value)
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _add_fetch(verbs: Commands) -> None:
    fetch = verbs.add_parser(
        "fetch",
        help="fetch series of a study, whole or not at all",
        description="Fetch the MR series of a study to DIR/SERIES_UID/SOP_UID.dcm. A series is"
        " hidden until all its images are there; the same command goes on after a cut, and leaves"
        " alone what is whole.",
    )
    add_connection(fetch)
    fetch.add_argument("--study", required=True, metavar="UID", help="study UID")
    fetch.add_argument(
        "--series",
        action="append",
        default=[],
        metavar="UID",
        help="this series instead of all MR series; may be repeated",
    )
    add_retrieval(fetch)
    fetch.add_argument(
        "-o", "--output", type=Path, required=True, metavar="DIR", help="folder for the series"
    )
    fetch.set_defaults(run=_fetch)


def _fetch(options: argparse.Namespace) -> int:
    from scarseg import pacs
    from scarseg.pacs.fetching import fetch_study

    archive = pacs.connect(server_of(options))
    with progress_bar("Fetching") as progress:
        fetched = fetch_study(archive, options.study, options.series, options.output, progress)
    for one in fetched.series:
        print(f"{one.path}: {one.n_images} images, {one.n_fetched} of them fetched now")
    for _, error in fetched.failed:
        say(f"{error.code}: {error.message}")
    if not fetched.series:
        return NOTHING_DONE
    _say_warnings([one.path for one in fetched.series])
    return SOME_FAILED if fetched.failed else DONE


def _say_warnings(folders: Sequence[Path]) -> None:
    """Write what opening the folders would warn of."""
    from scarseg.io import dicom

    report = dicom.scan(folders)
    for stack in report.stacks:
        for warning in stack.warnings:
            say(f"{warning.code}: series {stack.stack_id}: {warning.message}")
    for refusal in report.refused:
        say(f"{refusal.code}: {refusal.message} [{refusal.path}]")


def _add_send(verbs: Commands) -> None:
    send = verbs.add_parser(
        "send",
        help="send results to their study in an archive",
        description="Send DICOM SEG, SR, RTSTRUCT, PDF and pictures that scarseg wrote with"
        " --identify. The study must exist there under the same patient ID; what is there already"
        " stays as it is; each instance is looked up afterwards.",
    )
    add_connection(send)
    send.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="files and folders")
    send.add_argument(
        "--pseudonyms", action="store_true", help="send files that name a patient by pseudonym"
    )
    send.add_argument("--images", action="store_true", help="send images as well")
    send.add_argument(
        "--new-study", action="store_true", help="send to a study that is not there yet"
    )
    send.set_defaults(run=_send)


def _send(options: argparse.Namespace) -> int:
    from scarseg import pacs
    from scarseg.pacs.sending import read_instances, send_instances

    selection = read_instances(options.paths, options.images)
    if selection.n_images_left_out:
        say(f"{selection.n_images_left_out} images are not sent; --images sends them.")
    archive = pacs.connect(server_of(options))
    with progress_bar("Sending") as progress:
        report = send_instances(
            archive,
            selection.instances,
            pseudonyms=options.pseudonyms,
            new_study=options.new_study,
            progress=progress,
        )
    for one in report.sent:
        print(f"sent {one.kind} {one.sop_uid} to study {one.study_uid}")
    for one in report.present:
        print(f"there already: {one.kind} {one.sop_uid} in study {one.study_uid}")
    for one, reason in report.refused:
        say(f"E_PACS_REFUSED: {one.kind} {one.sop_uid}: {reason}")
    return SOME_FAILED if report.refused else DONE
