"""The gateway as the official Python clients see it: `openai`, and `anthropic` for /v1/messages.

Each check is named by the promise it keeps, and prints one line. A model's name chooses what the stand-in does
(tests/standin); a suffix such as `:a` changes nothing but gives a breaker and a count of its own.

run.sh sets the environment: CMG_URL, CMG_API_KEY, CMG_ADMIN_TOKEN, STANDIN_URL.
"""

import concurrent.futures
import contextlib
import json
import math
import os
import pathlib
import sys
import time
import traceback
import urllib.error
import urllib.parse
import urllib.request
import uuid

import anthropic
import openai

SERVER = os.environ["CMG_URL"]
KEY = os.environ["CMG_API_KEY"]
ADMIN_TOKEN = os.environ["CMG_ADMIN_TOKEN"]
STANDIN_PORT = urllib.parse.urlsplit(os.environ["STANDIN_URL"]).port

# What the stand-in says, and what it costs: tests/standin/src/script.rs and answers/.
TEXT = "Hello from the stand-in."
THOUGHT = "First think, then speak."
CITIES = [{"city": "Paris"}, {"city": "Rome"}]
COST = 0.00014
EMBEDDER = "static-minilm-256"
TOOLS = [{"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}]

# Seconds: a request that should be answered, and something that should come to pass by itself.
REQUEST, PATIENCE = 20.0, 10.0


def client(key=KEY, max_retries=0, timeout=REQUEST, http_client=None):
    return openai.OpenAI(
        base_url=f"{SERVER}/v1", api_key=key, max_retries=max_retries, timeout=timeout, http_client=http_client
    )


def claude(key=KEY):
    return anthropic.Anthropic(base_url=SERVER, api_key=key, max_retries=0, timeout=REQUEST)


ai = client()


# --- checking

CHECKS = []


def promise(words):
    """A check: it keeps the promise of these words, or raises."""

    def add(function):
        CHECKS.append((words, function))
        return function

    return add


def same(what, got, expected):
    assert got == expected, f"{what}: expected {expected!r}, got {got!r}"


def close(what, got, expected):
    assert len(got) == len(expected), f"{what}: {len(expected)} numbers expected, got {len(got)}"
    far = max(abs(a - b) for a, b in zip(got, expected))
    assert far < 1e-6, f"{what}: numbers differ by up to {far}"


@contextlib.contextmanager
def raises(kind, status=None):
    """The block raises exactly `kind`; what was raised is in `.error` afterwards."""

    class Caught:
        error = None

    caught = Caught()
    try:
        yield caught
    except Exception as error:
        shown = f"{type(error).__name__}({error})"
        assert type(error) is kind, f"expected {kind.__name__}, got {shown}"
        assert status in (None, getattr(error, "status_code", None)), f"expected status {status}, got {shown}"
        caught.error = error
        return
    raise AssertionError(f"expected {kind.__name__}, got an answer")


def eventually(what, look):
    """What `look` gives as soon as that is something."""
    end = time.monotonic() + PATIENCE
    while not (found := look()):
        assert time.monotonic() < end, f"not within {PATIENCE:.0f} s: {what}"
        time.sleep(0.05)
    return found


# --- asking


def says(words):
    return [{"role": "user", "content": words}]


def chat(model="standin/ok", words="Hello", of=ai, **more):
    return of.chat.completions.create(model=model, messages=says(words), **more)


def http(path, token, body=None):
    """JSON of a route that the clients do not know."""
    request = urllib.request.Request(
        SERVER + path,
        data=None if body is None else json.dumps(body).encode(),
        headers={"authorization": f"Bearer {token}", "content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=REQUEST) as answer:
        return json.load(answer)


def new_key(**limits):
    """A key with these limits, in a workspace of its own."""
    name = f"clients-{uuid.uuid4().hex[:12]}"
    return http("/admin/api/keys", ADMIN_TOKEN, {"workspace_id": name, "name": name, **limits})["key"]


def ledger_row(request_id):
    """The ledger's row of a request, as soon as it is there."""
    path = f"/admin/api/usage/requests?request_id={urllib.parse.quote(request_id)}"
    rows = eventually(f"a row for {request_id} in the ledger", lambda: http(path, ADMIN_TOKEN)["data"])
    same("rows of one request", len(rows), 1)
    return rows[0]


def items(thread):
    return http(f"/v1/threads/{thread}/items", KEY)["data"]


def said(thread):
    """Who said what in a thread."""
    try:
        return [(item["role"], item["text"]) for item in items(thread) if item["kind"] == "chat"]
    except urllib.error.HTTPError as error:
        if error.code != 404:
            raise
        return []


def thread_name():
    return f"thread-{uuid.uuid4().hex[:12]}"


class Counting:
    """A client that counts the requests which it really sends."""

    def __init__(self, key=KEY, max_retries=2):
        self.sent = 0
        hooks = {"request": [self.count]}
        self.client = client(key, max_retries, http_client=openai.DefaultHttpxClient(event_hooks=hooks))

    def count(self, _request):
        self.sent += 1


# --- chat


def text_of(chunks):
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def finish_of(chunks):
    return [c.choices[0].finish_reason for c in chunks if c.choices and c.choices[0].finish_reason]


def check_usage(usage):
    same("usage", (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens), (100, 20, 120))
    same("usage.cost", usage.cost, COST)


@promise("chat, whole: text, finish reason, usage and cost are the upstream's")
def _():
    answer = chat()

    same("text", answer.choices[0].message.content, TEXT)
    same("role", answer.choices[0].message.role, "assistant")
    same("finish_reason", answer.choices[0].finish_reason, "stop")
    same("native_finish_reason", answer.choices[0].native_finish_reason, "stop")
    same("model and provider", (answer.model, answer.provider), ("standin/ok", "StandIn"))
    check_usage(answer.usage)


@promise("chat, streamed: the text is the same, usage comes once, and so does the finish reason")
def _():
    chunks = list(chat(stream=True))

    same("text", text_of(chunks), TEXT)
    assert len(chunks) > 3, f"{len(chunks)} chunks are no stream"
    same("finish reasons", finish_of(chunks), ["stop"])
    usages = [chunk.usage for chunk in chunks if chunk.usage]
    same("chunks with usage", len(usages), 1)
    check_usage(usages[0])


@promise("chat, streamed: usage beside choices in the last chunk comes through")
def _():
    chunks = list(chat("standin/usage-with-choices", stream=True))

    usages = [chunk.usage for chunk in chunks if chunk.usage]
    same("chunks with usage", len(usages), 1)
    check_usage(usages[0])


@promise("chat, streamed: comments, empty frames, CR LF and split frames disturb nobody")
def _():
    chunks = list(chat("standin/echo+comments+empty-frames+crlf+pieces-3", "Zwölf Boxkämpfer 🥊 jagen", stream=True))

    same("text", text_of(chunks), "Zwölf Boxkämpfer 🥊 jagen")


@promise("chat, streamed: chunks come as they are made, not in one lump")
def _():
    came = [time.monotonic() for chunk in chat("standin/chunks-5+gap-300", stream=True) if text_of([chunk])]

    same("chunks with text", len(came), 5)
    gaps = [later - earlier for earlier, later in zip(came, came[1:])]
    assert min(gaps) > 0.1, f"0.3 s apart when made, when read {[round(gap, 3) for gap in gaps]}"


@promise("chat, streamed: a stream that says all it has to but [DONE] is whole")
def _():
    same("text", text_of(chat("standin/no-done", stream=True)), TEXT)


@promise("chat: OpenRouter's own fields are let in, and the model that answered is named")
def _():
    routing = {"models": ["standin/ok"], "provider": {"order": ["StandIn"]}, "reasoning": {"effort": "low"}, "top_k": 5}

    same("model", chat("standin/fallback", extra_body=routing).model, "standin/ok")


# --- tool calls


@promise("tools, whole: both calls come with their ids, names and arguments")
def _():
    choice = chat("standin/tools", tools=TOOLS).choices[0]

    same("finish_reason", choice.finish_reason, "tool_calls")
    same("content", choice.message.content, None)
    calls = choice.message.tool_calls
    same("ids", [call.id for call in calls], ["call_standin_0", "call_standin_1"])
    same("names", [call.function.name for call in calls], ["get_weather"] * 2)
    same("arguments", [json.loads(call.function.arguments) for call in calls], CITIES)


@promise("tools, streamed: every part has its index, and the arguments add up")
def _():
    chunks = list(chat("standin/tools", tools=TOOLS, stream=True))

    deltas = [call for chunk in chunks if chunk.choices for call in chunk.choices[0].delta.tool_calls or []]
    same("indices", [delta.index for delta in deltas], [0, 0, 0, 1, 1, 1])
    same("ids", [delta.id for delta in deltas if delta.id], ["call_standin_0", "call_standin_1"])
    whole = ["".join(d.function.arguments or "" for d in deltas if d.index == index) for index in (0, 1)]
    same("arguments", [json.loads(arguments) for arguments in whole], CITIES)
    same("finish reasons", finish_of(chunks), ["tool_calls"])


@promise("tools, streamed: the client's own accumulator makes the same calls of it")
def _():
    with ai.chat.completions.stream(model="standin/tools", messages=says("Hello"), tools=TOOLS) as stream:
        calls = stream.get_final_completion().choices[0].message.tool_calls

    same("arguments", [json.loads(call.function.arguments) for call in calls], CITIES)


@promise("tools: the turn after the calls, with their results, is answered")
def _():
    turn = chat("standin/tools", tools=TOOLS).choices[0].message
    results = [{"role": "tool", "tool_call_id": call.id, "content": "sunny"} for call in turn.tool_calls]

    answer = ai.chat.completions.create(model="standin/ok", messages=[*says("Hello"), turn, *results], tools=TOOLS)

    same("text", answer.choices[0].message.content, TEXT)


# --- reasoning


def check_reasoning(text, details):
    same("reasoning", text, THOUGHT)
    same("thought aloud", "".join(d["text"] for d in details if d["type"] == "reasoning.text"), THOUGHT)
    sealed = {"type": "reasoning.encrypted", "data": "c2VhbGVk", "id": "rs_standin", "format": "standin-v1", "index": 1}
    same("sealed", [d for d in details if d["type"] == "reasoning.encrypted"], [sealed])


@promise("reasoning, whole: its text and its sealed details come unchanged")
def _():
    answer = chat("standin/reasoning")

    message = answer.choices[0].message
    check_reasoning(message.reasoning, message.reasoning_details)
    same("text", message.content, TEXT)
    same("reasoning tokens", answer.usage.completion_tokens_details.reasoning_tokens, 12)


@promise("reasoning, streamed: the same, before the text")
def _():
    chunks = list(chat("standin/reasoning", stream=True))

    deltas = [chunk.choices[0].delta.model_extra for chunk in chunks if chunk.choices]
    details = [detail for delta in deltas for detail in delta.get("reasoning_details") or []]
    check_reasoning("".join(delta.get("reasoning") or "" for delta in deltas), details)
    same("text", text_of(chunks), TEXT)


# --- embeddings


def embed(words, model=EMBEDDER, **more):
    return ai.embeddings.create(model=model, input=words, **more)


def sent_as(model, **more):
    """The type of the vector as it stood in the answer's JSON, before the client decoded it."""
    raw = ai.embeddings.with_raw_response.create(model=model, input="a cat", **more)
    return type(json.loads(raw.text)["data"][0]["embedding"])


def dot(one, other):
    return sum(a * b for a, b in zip(one, other))


@promise("embeddings, built in: base64 (the client's default) and floats are the same 256 numbers of length 1")
def _():
    same("base64 on the wire", sent_as(EMBEDDER, encoding_format="base64"), str)
    same("floats on the wire", sent_as(EMBEDDER, encoding_format="float"), list)
    packed, plain = embed("a cat"), embed("a cat", encoding_format="float")

    vector = packed.data[0].embedding
    close("base64 and floats", vector, plain.data[0].embedding)
    same("dimensions", len(vector), 256)
    assert math.isclose(dot(vector, vector), 1, abs_tol=1e-4), f"length² is {dot(vector, vector)}"
    same("model", packed.model, EMBEDDER)
    assert packed.usage.prompt_tokens == packed.usage.total_tokens > 0, f"usage: {packed.usage}"


@promise("embeddings, built in: many texts keep their order, and what is alike is near")
def _():
    answer = embed(["a small cat", "a little kitten", "quarterly tax report"])

    same("indices", [row.index for row in answer.data], [0, 1, 2])
    cat, kitten, tax = [row.embedding for row in answer.data]
    close("the second text alone", kitten, embed("a little kitten").data[0].embedding)
    assert dot(cat, kitten) > dot(cat, tax) + 0.2, f"kitten {dot(cat, kitten):.3f}, tax {dot(cat, tax):.3f}"


@promise("embeddings, upstream: base64 and floats are the same, `dimensions` arrives, usage and cost come back")
def _():
    same("base64 on the wire", sent_as("standin/embed", encoding_format="base64"), str)
    packed, plain = embed("a cat", "standin/embed"), embed("a cat", "standin/embed", encoding_format="float")

    close("base64 and floats", packed.data[0].embedding, plain.data[0].embedding)
    same("dimensions", len(embed("a cat", "standin/embed", dimensions=16).data[0].embedding), 16)
    same("rows", len(embed(["a cat", "a dog"], "standin/embed").data), 2)
    same("usage", (packed.usage.prompt_tokens, packed.usage.cost), (2, 0.00000004))


@promise("embeddings, built in: a wrong length is a BadRequestError that names `dimensions`")
def _():
    with raises(openai.BadRequestError, 400) as caught:
        embed("a cat", dimensions=7)

    same("param", caught.error.param, "dimensions")


@promise("embeddings, built in: tokens in the place of a text are a BadRequestError in words for people")
def _():
    with raises(openai.BadRequestError, 400) as caught:
        embed([[1, 2, 3]])

    same("param", caught.error.param, "input")
    message = caught.error.body["message"]
    assert "text" in message and "enum" not in message, f"it does not say what would be right: {message}"


# --- models


@promise("models.list() has the upstream's catalogue with its prices, and the built-in embedder")
def _():
    known = {model.id: model for model in ai.models.list()}

    for name in ("standin/ok", "standin/free:free", "standin/embed", EMBEDDER):
        assert name in known, f"{name} is not among {sorted(known)}"
    same("price", known["standin/ok"].pricing["prompt"], "0.000001")
    same("context_length", known["standin/ok"].context_length, 128_000)


@promise("models.retrieve() finds a model by its whole name, slash, suffix and all")
def _():
    for name in ("standin/ok", "standin/free:free", EMBEDDER):
        same("id", ai.models.retrieve(name).id, name)


@promise("models.retrieve() of an unknown model is a NotFoundError")
def _():
    for name in ("nobody/nothing", "nothing"):
        with raises(openai.NotFoundError, 404) as caught:
            ai.models.retrieve(name)
        same("code", caught.error.code, "model_not_found")


# --- errors


def check_error(error, kind):
    """What every error has: words, a family, and the id of its request."""
    same("type", error.type, kind)
    assert error.body.get("message"), f"no message in {error.body}"
    assert error.request_id, "no x-request-id"
    return error.body


@promise("a wrong key is an AuthenticationError, and the client does not try again")
def _():
    counting = Counting("cmg_wrong-wrong-wrong-wrong-wrong-wrong-wrong")

    with raises(openai.AuthenticationError, 401) as caught:
        chat(of=counting.client)

    check_error(caught.error, "authentication_error")
    same("code", caught.error.code, "invalid_api_key")
    same("requests", counting.sent, 1)


@promise("the upstream's 401 is not the caller's: a 502, no AuthenticationError")
def _():
    with raises(openai.InternalServerError, 502) as caught:
        chat("standin/401")

    check_error(caught.error, "upstream_error")


@promise("the upstream's 400, 403, 404, 413 and 422 are the errors that the client has for them")
def _():
    for status, kind, family in (
        (400, openai.BadRequestError, "invalid_request_error"),
        (403, openai.PermissionDeniedError, "permission_error"),
        (404, openai.NotFoundError, "not_found_error"),
        (413, openai.APIStatusError, "invalid_request_error"),
        (422, openai.UnprocessableEntityError, "invalid_request_error"),
    ):
        with raises(kind, status) as caught:
            chat(f"standin/{status}")
        body = check_error(caught.error, family)
        same("request id in the body", body.get("request_id"), caught.error.request_id)


@promise("the upstream's words, code and metadata are kept: moderation says what it found")
def _():
    with raises(openai.PermissionDeniedError, 403) as caught:
        chat("standin/moderation")

    metadata = caught.error.body["metadata"]
    same("message", caught.error.body["message"], "Your input was flagged.")
    same("error_type", metadata["error_type"], "content_policy_violation")
    same("reasons", metadata["reasons"], ["harassment"])


@promise("a model that the upstream does not know is a BadRequestError in the upstream's words")
def _():
    with raises(openai.BadRequestError, 400) as caught:
        chat("nobody/nothing")

    assert "not a valid model ID" in caught.error.body["message"], caught.error.body["message"]


@promise("the upstream's 429 is a RateLimitError with Retry-After, before a stream too")
def _():
    for streamed in (False, True):
        with raises(openai.RateLimitError, 429) as caught:
            chat(f"standin/429:{streamed}", stream=streamed)

        body = check_error(caught.error, "rate_limit_error")
        same("Retry-After", caught.error.response.headers.get("retry-after"), "1")
        same("error_type", body["metadata"]["error_type"], "rate_limit_exceeded")


@promise("an upstream's 429 that passes is tried again by the gateway, not by the client")
def _():
    same("text", chat("standin/429-then-ok-1:python").choices[0].message.content, TEXT)


@promise("the upstream's 503 is an InternalServerError with Retry-After")
def _():
    with raises(openai.InternalServerError, 503) as caught:
        chat("standin/503")

    check_error(caught.error, "upstream_error")
    same("Retry-After", caught.error.response.headers.get("retry-after"), "1")


@promise("an error or a page inside a 200 is an InternalServerError, before a stream too")
def _():
    for behaviour in ("error-200", "error-first", "html-200", "malformed"):
        with raises(openai.InternalServerError, 502):
            chat(f"standin/{behaviour}:whole")
    for behaviour in ("error-200", "error-first", "html-200"):
        with raises(openai.InternalServerError, 502):
            chat(f"standin/{behaviour}:stream", stream=True)


@promise("the upstream's 402 is final: no retry of the client")
def _():
    counting = Counting()

    with raises(openai.APIStatusError, 402) as caught:
        chat("standin/402", of=counting.client)

    check_error(caught.error, "quota_exceeded")
    same("requests", counting.sent, 1)


@promise("a field of `memory` that does not exist is a BadRequestError that names it")
def _():
    with raises(openai.BadRequestError, 400) as caught:
        chat(extra_body={"memory": {"thread_id": "t", "colour": "blue"}})

    check_error(caught.error, "invalid_request_error")
    same("code and param", (caught.error.code, caught.error.param), ("unknown_field", "memory.colour"))


# --- limits of a key


@promise("a model on the key's block list is a PermissionDeniedError; the others are answered")
def _():
    blocked = client(new_key(model_blocklist=["standin/echo", "secret/*"]))

    for model in ("standin/echo", "secret/model"):
        for streamed in (False, True):
            with raises(openai.PermissionDeniedError, 403) as caught:
                chat(model, of=blocked, stream=streamed)
            check_error(caught.error, "permission_error")
            same("code and param", (caught.error.code, caught.error.param), ("model_not_allowed", "model"))
    same("text", chat(of=blocked).choices[0].message.content, TEXT)


@promise("a budget that is spent is a 402, and the client does not try again")
def _():
    counting = Counting(new_key(daily_budget_usd="0.0001"))
    chat(of=counting.client)
    counting.sent = 0

    for streamed in (False, True):
        with raises(openai.APIStatusError, 402) as caught:
            chat(of=counting.client, stream=streamed)
        check_error(caught.error, "quota_exceeded")
        same("code", caught.error.code, "quota_exceeded")

    same("requests for two calls", counting.sent, 2)


@promise("a streamed call is booked too: the next one finds the budget spent")
def _():
    limited = client(new_key(daily_budget_usd="0.0001"))
    list(chat(of=limited, stream=True))

    def refused():
        try:
            chat(of=limited)
        except openai.APIStatusError as error:
            # Until the stream's row is closed its reservation holds the budget: a 429 for a moment.
            same("status", error.status_code in (402, 429), True)
            return error.status_code == 402
        raise AssertionError("a second call was answered")

    eventually("the 402", refused)


@promise("a key's own rate is a RateLimitError that says when to come again")
def _():
    limited = client(new_key(rpm_limit=1))
    chat(of=limited)

    with raises(openai.RateLimitError, 429) as caught:
        chat(of=limited)

    check_error(caught.error, "rate_limit_error")
    same("code", caught.error.code, "rate_limited")
    headers = caught.error.response.headers
    assert 1 <= int(headers["retry-after"]) <= 60, f"Retry-After: {headers['retry-after']}"
    same("remaining", headers.get("x-ratelimit-remaining-requests"), "0")


# --- streams that go wrong


@promise("a stream that is cut, spoilt or ended by an error raises, never ends quietly")
def _():
    for behaviour in ("chunks-20+cut", "cut-frame", "error-mid", "chunks-20+malformed"):
        read = []
        with raises(openai.APIError) as caught:
            for chunk in chat(f"standin/{behaviour}", stream=True):
                read.append(chunk)
        assert text_of(read), f"{behaviour}: what came before was kept back"
        assert "stop" not in finish_of(read), f"{behaviour}: it seemed to be whole"
        assert caught.error.body["metadata"]["error_type"], f"{behaviour}: no error_type"


@promise("a whole answer that is cut is an InternalServerError")
def _():
    with raises(openai.InternalServerError, 502):
        chat("standin/cut:whole")


# --- a client that goes

# Where Linux tells which connections there are; elsewhere only the ledger is asked.
CONNECTIONS = pathlib.Path("/proc/net/tcp")
ESTABLISHED = "01"


def to_standin():
    """The gateway's connections to the stand-in that are open now."""
    if not CONNECTIONS.exists():
        return set()
    rows = [line.split() for line in CONNECTIONS.read_text().splitlines()[1:]]
    return {row[1] for row in rows if int(row[2].split(":")[1], 16) == STANDIN_PORT and row[3] == ESTABLISHED}


def check_gone(request_ids, open_before, status):
    """Each of these calls had a connection to the stand-in among those that were open; none has one now."""
    if CONNECTIONS.exists():
        busy = len(request_ids)
        assert len(open_before) >= busy, f"{len(open_before)} connections for {busy} calls"
        eventually("the upstream's connections close", lambda: len(open_before - to_standin()) >= busy)
    for request_id in request_ids:
        row = ledger_row(request_id)
        same("ending and status in the ledger", (row["ending"], row["status"]), ("client_gone", status))


@promise("a client that stops reading a stream closes the call to the upstream")
def _():
    streams = [chat("standin/chunks-600+gap-100", stream=True) for _ in range(4)]
    for stream in streams:
        next(stream)
    open_before = to_standin()

    for stream in streams:
        stream.close()

    check_gone([stream.response.headers["x-request-id"] for stream in streams], open_before, 200)


def gives_up(model, streamed):
    """Four clients that wait two seconds for what takes a minute; their ids, and what was open meanwhile."""
    ids = [f"gone-{uuid.uuid4()}" for _ in range(4)]

    def ask(request_id):
        with raises(openai.APITimeoutError):
            chat(model, of=client(timeout=2.0), stream=streamed, extra_headers={"x-request-id": request_id})

    with concurrent.futures.ThreadPoolExecutor(len(ids)) as threads:
        asked = [threads.submit(ask, request_id) for request_id in ids]
        time.sleep(1)
        open_before = to_standin()
        for one in asked:
            one.result(REQUEST)
    return ids, open_before


@promise("a client that gives up on a whole answer closes the call to the upstream")
def _():
    check_gone(*gives_up("standin/slow-60000", False), 499)


@promise("a client that gives up before a stream's head or its first frame closes the call to the upstream")
def _():
    check_gone(*gives_up("standin/slow-60000", True), 499)
    check_gone(*gives_up("standin/late-60000+comments", True), 499)


# --- headers


def raw(of=ai, **more):
    return of.chat.completions.with_raw_response.create(model="standin/ok", messages=says("Hello"), **more)


@promise("every answer has an x-request-id: the caller's own, or a new one")
def _():
    own = f"own-{uuid.uuid4()}"

    same("own", raw(extra_headers={"x-request-id": own}).headers["x-request-id"], own)
    first, second = chat()._request_id, chat()._request_id
    assert first and second and first != second, f"{first!r}, {second!r}"
    assert chat(stream=True).response.headers["x-request-id"], "none on a stream"


@promise("x-ratelimit-* say how the key stands with its requests and its tokens, whole and streamed")
def _():
    limited = client(new_key(rpm_limit=100, daily_quota_tokens=1_000_000))

    answers = [raw(limited).headers, raw(limited).headers, chat(of=limited, stream=True).response.headers]

    for headers in answers:
        same("limit-requests", headers.get("x-ratelimit-limit-requests"), "100")
        same("limit-tokens", headers.get("x-ratelimit-limit-tokens"), "1000000")
        for name in ("requests", "tokens"):
            assert headers.get(f"x-ratelimit-reset-{name}", "").endswith("s"), f"x-ratelimit-reset-{name}"
    remaining = [int(headers["x-ratelimit-remaining-requests"]) for headers in answers]
    assert remaining[0] > remaining[1] > remaining[2] >= 0, f"remaining-requests: {remaining}"
    assert 0 < int(answers[1]["x-ratelimit-remaining-tokens"]) < 1_000_000, "nothing was taken off the tokens"


@promise("the upstream's generation id comes through; its cookies and its name do not")
def _():
    answer = raw()

    same("x-generation-id", answer.headers.get("x-generation-id"), answer.parse().id)
    assert answer.headers.get("server-timing"), "no server-timing"
    for name in ("set-cookie", "server", "alt-svc"):
        same(name, answer.headers.get(name), None)


@promise("every call is one row in the ledger, with the upstream's own cost")
def _():
    whole, streamed = f"row-{uuid.uuid4()}", f"row-{uuid.uuid4()}"
    chat(extra_headers={"x-request-id": whole})
    list(chat(stream=True, extra_headers={"x-request-id": streamed}))

    for request_id in (whole, streamed):
        row = ledger_row(request_id)
        same("ending", row["ending"], "ok")
        same("tokens", (row["prompt_tokens"], row["completion_tokens"]), (100, 20))
        same("cost", (float(row["cost_usd"]), row["cost_kind"]), (COST, "exact"))


# --- memory

FACT, ANSWER = "We decided to use PostgreSQL for the billing service.", "Noted: PostgreSQL for billing."
QUESTION = "Which database did we decide to use for the billing service?"


def ids_of(headers, name="x-cmg-memory-ids"):
    return [one for one in headers.get(name, "").split(",") if one]


def check_recalled(thread, headers):
    """The header names items of this thread, and one of them holds the fact."""
    ids = ids_of(headers)
    assert ids, f"x-cmg-memory-ids is missing; x-cmg-memory-error: {headers.get('x-cmg-memory-error')}"
    known = {item["id"]: item for item in items(thread)}
    same("ids that are not of the thread", [one for one in ids if one not in known], [])
    assert any("PostgreSQL" in known[one]["text"] for one in ids), f"the fact is not among {ids}"


def remembers(tell, ask):
    """A fact said in one call is stored as two turns, and comes back in the next one, which is stored too."""
    thread = thread_name()
    tell(thread)
    same("the first exchange", eventually("it is stored", lambda: said(thread)), [("user", FACT), ("assistant", FACT)])

    headers = ask(thread)

    check_recalled(thread, headers)
    both = eventually("the second exchange is stored", lambda: len(all := said(thread)) >= 4 and all)
    same("the second exchange", both[2:], [("user", QUESTION), ("assistant", QUESTION)])


def whole(words, **more):
    answer = ai.chat.completions.with_raw_response.create(model="standin/echo", messages=says(words), **more)
    same("the answer", answer.parse().choices[0].message.content, words)
    return answer.headers


def streamed(words, **more):
    stream = chat("standin/echo", words, stream=True, **more)
    same("the answer", text_of(stream), words)
    return stream.response.headers


def by_body(thread, mode="readwrite"):
    return {"extra_body": {"memory": {"thread_id": thread, "mode": mode, "token_budget": 1000}}}


def by_header(thread, mode="readwrite"):
    return {"extra_headers": {"x-cmg-thread": thread, "x-cmg-memory": mode, "x-cmg-token-budget": "1000"}}


@promise("memory by extra_body: a fact of one call is recalled in the next, and both turns of each are stored")
def _():
    remembers(lambda thread: whole(FACT, **by_body(thread)), lambda thread: whole(QUESTION, **by_body(thread)))


@promise("memory by extra_headers: the same")
def _():
    remembers(lambda thread: whole(FACT, **by_header(thread)), lambda thread: whole(QUESTION, **by_header(thread)))


@promise("memory of a streamed call: the same, the ids on its head")
def _():
    remembers(lambda thread: streamed(FACT, **by_header(thread)), lambda thread: streamed(QUESTION, **by_body(thread)))


@promise("memory with nothing but a thread reads and writes")
def _():
    def alone(words):
        return lambda thread: whole(words, extra_headers={"x-cmg-thread": thread})

    remembers(alone(FACT), alone(QUESTION))


@promise("memory: what a call wrote is in x-cmg-memory-written and there when it is answered")
def _():
    thread = thread_name()

    headers = whole(FACT, **by_body(thread, "write"))

    written = ids_of(headers, "x-cmg-memory-written")
    assert written, "x-cmg-memory-written is missing"
    same("items that are there", {item["id"] for item in items(thread)} >= set(written), True)
    same("turns", said(thread), [("user", FACT), ("assistant", FACT)])


@promise("memory: `write` recalls nothing, `read` stores nothing, `off` does neither")
def _():
    thread = thread_name()
    same("recalled by `write`", ids_of(whole(FACT, **by_body(thread, "write"))), [])
    same("recalled again by `write`", ids_of(whole(FACT + " Yes.", **by_body(thread, "write"))), [])
    before = items(thread)

    check_recalled(thread, whole(QUESTION, **by_body(thread, "read")))
    same("recalled by `off`", ids_of(whole(QUESTION, **by_header(thread, "off"))), [])

    same("items", items(thread), before)


@promise("memory: another thread recalls nothing of it, and a call without memory neither")
def _():
    thread, other = thread_name(), thread_name()
    whole(FACT, **by_body(thread))

    same("recalled", ids_of(whole(QUESTION, **by_body(other))), [])
    same("recalled", ids_of(whole(QUESTION)), [])


@promise("memory: what it adds to the prompt stays within the budget, and is in the ledger")
def _():
    thread = thread_name()
    for number in range(8):
        whole(f"Decision {number}: we use PostgreSQL {number + 10} for the billing service of region {number}.", **by_body(thread))
    request_id = f"memory-{uuid.uuid4()}"
    field = {"memory": {"thread_id": thread, "mode": "read", "token_budget": 120}}

    headers = whole(QUESTION, extra_body=field, extra_headers={"x-request-id": request_id})

    tokens = int(headers["x-cmg-memory-tokens"])
    assert 0 < tokens <= 120, f"{tokens} tokens for a budget of 120"
    same("memory_tokens", ledger_row(request_id)["memory_tokens"], tokens)


@promise("memory: an answer that was cut is not stored")
def _():
    thread = thread_name()
    with raises(openai.APIError):
        list(chat("standin/chunks-20+cut:memory", FACT, stream=True, **by_body(thread)))
    time.sleep(1)

    same("assistant's turns", [turn for turn in said(thread) if turn[0] == "assistant"], [])


# --- idempotency


def with_key(key, resource, **body):
    answer = resource.with_raw_response.create(**body, extra_headers={"idempotency-key": key})
    return answer.headers.get("idempotent-replayed"), answer.text


def replays(resource, body, other):
    key = str(uuid.uuid4())
    first, again = (with_key(key, resource, **body) for _ in range(2))
    same("idempotent-replayed", (first[0], again[0]), (None, "true"))
    same("the answer", again[1], first[1])
    with raises(openai.ConflictError, 409) as caught:
        with_key(key, resource, **{**body, **other})
    check_error(caught.error, "conflict_error")


@promise("Idempotency-Key on chat: the same body is replayed, another one is a ConflictError")
def _():
    replays(ai.chat.completions, {"model": "standin/ok", "messages": says("Hello")}, {"messages": says("Bye")})


@promise("Idempotency-Key on embeddings of the upstream: the same")
def _():
    replays(ai.embeddings, {"model": "standin/embed", "input": "a cat"}, {"input": "a dog"})


@promise("Idempotency-Key on embeddings of the built-in model: the same")
def _():
    replays(ai.embeddings, {"model": EMBEDDER, "input": "a cat"}, {"input": "a dog"})


@promise("Idempotency-Key with memory: the exchange is stored once")
def _():
    thread, key = thread_name(), str(uuid.uuid4())
    body = {"model": "standin/echo", "messages": says(FACT), "extra_body": {"memory": {"thread_id": thread}}}

    replayed = [with_key(key, ai.chat.completions, **body)[0] for _ in range(2)]

    same("idempotent-replayed", replayed, [None, "true"])
    same("turns", said(thread), [("user", FACT), ("assistant", FACT)])


# --- responses


@promise("responses, whole and streamed: the text is the same and usage is there")
def _():
    answer = ai.responses.create(model="standin/ok", input="Hello")
    same("text", answer.output_text, TEXT)
    same("usage", (answer.usage.input_tokens, answer.usage.output_tokens), (100, 20))

    events = list(ai.responses.create(model="standin/ok", input="Hello", stream=True))

    same("text", "".join(e.delta for e in events if e.type == "response.output_text.delta"), TEXT)
    same("the last event", events[-1].type, "response.completed")


@promise("responses: a stream that is cut raises")
def _():
    with raises(openai.APIError):
        list(ai.responses.create(model="standin/chunks-20+cut:responses", input="Hello", stream=True))


# --- Anthropic's messages


def message(model="standin/ok", of=None, **more):
    of = of or claude()
    return of.messages.create(model=model, max_tokens=100, messages=says("Hello"), **more)


@promise("messages (anthropic), whole: text, stop reason and usage, by x-api-key")
def _():
    answer = message()

    same("text", answer.content[0].text, TEXT)
    same("stop_reason", answer.stop_reason, "end_turn")
    same("usage", (answer.usage.input_tokens, answer.usage.output_tokens), (100, 20))


@promise("messages (anthropic), streamed: the client's accumulator makes the same message of it")
def _():
    with claude().messages.stream(model="standin/ok", max_tokens=100, messages=says("Hello")) as stream:
        text = "".join(stream.text_stream)
        last = stream.get_final_message()

    same("text", (text, last.content[0].text), (TEXT, TEXT))
    same("stop_reason", last.stop_reason, "end_turn")
    same("usage", (last.usage.input_tokens, last.usage.output_tokens), (100, 20))


@promise("messages (anthropic): a stream that is cut, spoilt or ended by an error raises")
def _():
    for behaviour in ("chunks-20+cut", "cut-frame", "error-mid", "chunks-20+malformed"):
        try:
            events = [event.type for event in message(f"standin/{behaviour}:messages", stream=True)]
        except anthropic.APIStatusError:
            continue
        raise AssertionError(f"{behaviour}: ended quietly with {events[-1]}")


@promise("messages (anthropic): errors have their types, and a spent budget is a 402")
def _():
    for model, kind, family in (
        ("standin/400", anthropic.BadRequestError, "invalid_request_error"),
        ("standin/404", anthropic.NotFoundError, "not_found_error"),
        ("standin/429:messages", anthropic.RateLimitError, "rate_limit_error"),
        ("standin/529:messages", anthropic.OverloadedError, "upstream_error"),
    ):
        with raises(kind) as caught:
            message(model)
        same("type", caught.error.type, family)
    with raises(anthropic.AuthenticationError, 401) as caught:
        message(of=claude("cmg_wrong-wrong-wrong-wrong-wrong-wrong-wrong"))
    same("type", caught.error.type, "authentication_error")
    limited = claude(new_key(daily_budget_usd="0.0001"))
    message(of=limited)
    with raises(anthropic.PaymentRequiredError, 402):
        message(of=limited)


@promise("messages (anthropic): a call is a row in the ledger with the upstream's cost")
def _():
    for more in ({}, {"stream": True}):
        request_id = f"row-{uuid.uuid4()}"
        answer = message(extra_headers={"x-request-id": request_id}, **more)
        if more:
            list(answer)

        row = ledger_row(request_id)
        same("ending", row["ending"], "ok")
        same("tokens", (row["prompt_tokens"], row["completion_tokens"]), (100, 20))
        same("cost", (float(row["cost_usd"]), row["cost_kind"]), (COST, "exact"))


# --- running


def main():
    print(f"Python {sys.version.split()[0]}, openai {openai.__version__}, anthropic {anthropic.__version__}")
    eventually("the catalogue is there", lambda: any(model.id == "standin/ok" for model in ai.models.list()))
    failed = 0
    for words, check in CHECKS:
        try:
            check()
        except Exception as error:
            failed += 1
            lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == __file__]
            where = ", ".join(map(str, lines[1:]))
            print(f"FAIL  {words}\n      line {where}: {type(error).__name__}: {error}", flush=True)
        else:
            print(f"ok    {words}", flush=True)
    print(f"python: {len(CHECKS) - failed} passed, {failed} failed", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
