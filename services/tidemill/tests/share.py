"""A partner who knows nothing of Tidemill: reads what is shared by pyarrow's Flight client.

share.py LOCATION TOKEN FOLDER: prints what is seen as JSON; leaves the rows and the manifest of each flight in FOLDER.
"""

import json
import pathlib
import sys

import pyarrow
import pyarrow.flight as flight
import pyarrow.parquet as parquet
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


FORGED = b'{"share":"not_theirs","version":1}'


def refused(call):
    """Name of the error that a call ends with."""
    try:
        call()
    except flight.FlightError as error:
        return type(error).__name__
    except Exception as error:  # pyarrow maps some statuses to errors of Arrow
        return type(error).__name__
    return None


def write(client, options):
    """Tries to send rows."""
    writer, _ = client.do_put(flight.FlightDescriptor.for_path("birds"), pyarrow.schema([("x", pyarrow.int32())]), options)
    writer.close()


def main():
    location, token, folder = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
    client = flight.FlightClient(location)
    options = flight.FlightCallOptions(headers=[(b"authorization", b"Bearer " + token.encode())])
    seen = {
        "without_token": refused(lambda: list(client.list_flights())),
        "of_others": refused(lambda: client.get_flight_info(flight.FlightDescriptor.for_path("not_theirs"), options)),
        "forged": refused(lambda: client.do_get(flight.Ticket(FORGED), options).read_all()),
        "writing": refused(lambda: write(client, options)),
        "actions": [action.type for action in client.list_actions(options)],
        "flights": {},
    }
    for info in client.list_flights(options=options):
        name = info.descriptor.path[0].decode()
        ticket = info.endpoints[0].ticket
        rows = client.do_get(ticket, options).read_all()
        schema = client.get_schema(flight.FlightDescriptor.for_path(name), options).schema
        assert rows.schema.equals(schema), (rows.schema, schema)
        parquet.write_table(rows, folder / f"{name}.parquet")
        answer = next(iter(client.do_action(flight.Action("manifest", ticket.ticket), options))).body.to_pybytes()
        (folder / f"{name}.json").write_bytes(answer)
        signed = json.loads(answer)
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(signed["key"]))
        # Raises unless the key signed exactly this text.
        key.verify(bytes.fromhex(signed["signature"]), b"tidemill share manifest 1\n" + signed["manifest"].encode())
        seen["flights"][name] = {
            "columns": rows.column_names,
            "rows": rows.num_rows,
            "species": sorted(set(rows["species"].to_pylist())) if "species" in rows.column_names else None,
            "manifest": json.loads(signed["manifest"]),
        }
    json.dump(seen, sys.stdout)


main()
