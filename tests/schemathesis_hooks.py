"""What schemathesis has to be told: how NDJSON is sent. Loaded by tests/schemathesis.sh, and by nothing else."""

import schemathesis


@schemathesis.serializer("application/x-ndjson")
def ndjson(_context, value):
    """The bytes of a body whose schema is a string of lines."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")
