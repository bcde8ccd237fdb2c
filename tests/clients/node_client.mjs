// The gateway as the official Node client sees it. The Python checks go further; these are those that depend on a client's
// own code: how it decodes, adds up, types errors, and tries again.
//
// Each check is named by the promise it keeps, and prints one line. A model's name chooses what the stand-in does
// (tests/standin); a suffix such as `:node` changes nothing but gives a breaker and a count of its own.
//
// run.sh sets the environment: CMG_URL, CMG_API_KEY, CMG_ADMIN_TOKEN, CLIENTS_NODE (the folder of node_modules).

import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

const require = createRequire(join(process.env.CLIENTS_NODE, 'package.json'))
const OpenAI = require('openai').OpenAI

const { CMG_URL: SERVER, CMG_API_KEY: KEY, CMG_ADMIN_TOKEN: ADMIN_TOKEN } = process.env

// What the stand-in says, and what it costs: tests/standin/src/script.rs and answers/.
const TEXT = 'Hello from the stand-in.'
const CITIES = [{ city: 'Paris' }, { city: 'Rome' }]
const COST = 0.00014
const EMBEDDER = 'static-minilm-256'
const TOOLS = [{ type: 'function', function: { name: 'get_weather', parameters: { type: 'object' } } }]

// Milliseconds: a request that should be answered, and something that should come to pass by itself.
const REQUEST = 20_000
const PATIENCE = 10_000

const client = (apiKey = KEY, more = {}) =>
  new OpenAI({ baseURL: `${SERVER}/v1`, apiKey, maxRetries: 0, timeout: REQUEST, ...more })
const ai = client()

// --- checking

const checks = []
const promise = (words, check) => checks.push([words, check])

/** What is raised by `act`, which has to be of exactly this class, and of this status where one is given. */
async function raised(kind, act, status) {
  let error
  try {
    await act()
  } catch (caught) {
    error = caught
  }
  assert.ok(error, `expected ${kind.name}, got an answer`)
  assert.equal(error.constructor.name, kind.name, `expected ${kind.name}, got ${error.constructor.name}: ${error.message}`)
  if (status) assert.equal(error.status, status, `expected status ${status}, got ${error.status}: ${error.message}`)
  return error
}

/** What `look` gives as soon as that is something. */
async function eventually(what, look) {
  for (const end = Date.now() + PATIENCE; ; await sleep(50)) {
    const found = await look()
    if (found) return found
    assert.ok(Date.now() < end, `not within ${PATIENCE / 1000} s: ${what}`)
  }
}

function close(one, other) {
  assert.equal(one.length, other.length)
  one.forEach((value, at) => assert.ok(Math.abs(value - other[at]) < 1e-6, `number ${at}: ${value} and ${other[at]}`))
}

// --- asking

const says = (content) => [{ role: 'user', content }]

const chat = (model = 'standin/ok', more = {}, of = ai, options = {}) =>
  of.chat.completions.create({ model, messages: says('Hello'), ...more }, options)

async function all(stream) {
  const chunks = []
  for await (const chunk of await stream) chunks.push(chunk)
  return chunks
}

const textOf = (chunks) => chunks.map((chunk) => chunk.choices[0]?.delta.content ?? '').join('')
const finishOf = (chunks) => chunks.map((chunk) => chunk.choices[0]?.finish_reason).filter(Boolean)

/** JSON of a route that the client does not know. */
async function http(path, token, body) {
  const response = await fetch(SERVER + path, {
    method: body ? 'POST' : 'GET',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: body && JSON.stringify(body),
    signal: AbortSignal.timeout(REQUEST),
  })
  assert.ok(response.ok || response.status === 404, `${path}: ${response.status}`)
  return response.ok ? response.json() : undefined
}

/** A key with these limits, in a workspace of its own. */
async function newKey(limits) {
  const name = `clients-${randomUUID().slice(0, 12)}`
  return (await http('/admin/api/keys', ADMIN_TOKEN, { workspace_id: name, name, ...limits })).key
}

const items = async (thread) => (await http(`/v1/threads/${thread}/items`, KEY))?.data ?? []

/** Who said what in a thread. */
const said = async (thread) =>
  (await items(thread)).filter((item) => item.kind === 'chat').map((item) => [item.role, item.text])

/** A client that tries again as it does by default, and counts the requests which it really sends. */
function counting(apiKey = KEY) {
  const count = { sent: 0 }
  const counted = (...request) => {
    count.sent += 1
    return fetch(...request)
  }
  return [client(apiKey, { maxRetries: 2, fetch: counted }), count]
}

// --- chat

function checkUsage(usage) {
  assert.deepEqual([usage.prompt_tokens, usage.completion_tokens, usage.total_tokens], [100, 20, 120])
  assert.equal(usage.cost, COST)
}

promise("chat, whole: text, finish reason, usage and cost are the upstream's", async () => {
  const answer = await chat()

  assert.equal(answer.choices[0].message.content, TEXT)
  assert.equal(answer.choices[0].finish_reason, 'stop')
  assert.deepEqual([answer.model, answer.provider], ['standin/ok', 'StandIn'])
  assert.ok(answer._request_id, 'no x-request-id')
  checkUsage(answer.usage)
})

promise('chat, streamed: the text is the same, usage comes once, and so does the finish reason', async () => {
  const chunks = await all(chat('standin/ok', { stream: true }))

  assert.equal(textOf(chunks), TEXT)
  assert.ok(chunks.length > 3, `${chunks.length} chunks are no stream`)
  assert.deepEqual(finishOf(chunks), ['stop'])
  const usages = chunks.map((chunk) => chunk.usage).filter(Boolean)
  assert.equal(usages.length, 1)
  checkUsage(usages[0])
})

promise('chat, streamed: comments, empty frames, CR LF and split frames disturb nobody', async () => {
  const words = 'Zwölf Boxkämpfer 🥊 jagen'
  const model = 'standin/echo+comments+empty-frames+crlf+pieces-3'

  assert.equal(textOf(await all(chat(model, { stream: true, messages: says(words) }))), words)
})

promise("chat, streamed: the client's own runner makes the whole answer of it", async () => {
  const stream = ai.chat.completions.stream({ model: 'standin/ok', messages: says('Hello') })

  const answer = await stream.finalChatCompletion()

  assert.equal(answer.choices[0].message.content, TEXT)
  checkUsage(answer.usage)
})

promise('reasoning, whole and streamed: its text and its sealed details come unchanged', async () => {
  const { message } = (await chat('standin/reasoning')).choices[0]
  const chunks = await all(chat('standin/reasoning', { stream: true }))

  const deltas = chunks.map((chunk) => chunk.choices[0]?.delta ?? {})
  const streamed = {
    reasoning: deltas.map((delta) => delta.reasoning ?? '').join(''),
    reasoning_details: deltas.flatMap((delta) => delta.reasoning_details ?? []),
  }
  for (const { reasoning, reasoning_details: details } of [message, streamed]) {
    assert.equal(reasoning, 'First think, then speak.')
    assert.deepEqual(details.filter((detail) => detail.data).map((detail) => detail.data), ['c2VhbGVk'])
  }
  assert.deepEqual([message.content, textOf(chunks)], [TEXT, TEXT])
})

// --- tool calls

const argumentsOf = (calls) => calls.map((call) => JSON.parse(call.function.arguments))

promise('tools, whole: both calls come with their ids, names and arguments', async () => {
  const [choice] = (await chat('standin/tools', { tools: TOOLS })).choices

  const calls = choice.message.tool_calls
  assert.equal(choice.finish_reason, 'tool_calls')
  assert.deepEqual(calls.map((call) => call.id), ['call_standin_0', 'call_standin_1'])
  assert.deepEqual(calls.map((call) => call.function.name), ['get_weather', 'get_weather'])
  assert.deepEqual(argumentsOf(calls), CITIES)
})

promise('tools, streamed: every part has its index, and the arguments add up', async () => {
  const chunks = await all(chat('standin/tools', { tools: TOOLS, stream: true }))

  const deltas = chunks.flatMap((chunk) => chunk.choices[0]?.delta.tool_calls ?? [])
  assert.deepEqual(deltas.map((delta) => delta.index), [0, 0, 0, 1, 1, 1])
  const whole = [0, 1].map((index) =>
    deltas.filter((delta) => delta.index === index).map((delta) => delta.function.arguments ?? '').join(''),
  )
  assert.deepEqual(whole.map((text) => JSON.parse(text)), CITIES)
  assert.deepEqual(finishOf(chunks), ['tool_calls'])
})

promise("tools, streamed: the client's own accumulator makes the same calls of it", async () => {
  const stream = ai.chat.completions.stream({ model: 'standin/tools', messages: says('Hello'), tools: TOOLS })

  const answer = await stream.finalChatCompletion()

  assert.deepEqual(argumentsOf(answer.choices[0].message.tool_calls), CITIES)
})

// --- embeddings and models

for (const [model, dimensions] of [[EMBEDDER, 256], ['standin/embed', 8]]) {
  promise(`embeddings of ${model}: base64 (the client's default) and floats are the same numbers`, async () => {
    const input = ['a small cat', 'a little kitten']
    const packed = await ai.embeddings.create({ model, input })
    const plain = await ai.embeddings.create({ model, input, encoding_format: 'float' })

    assert.deepEqual(packed.data.map((row) => row.index), [0, 1])
    assert.equal(packed.data[0].embedding.length, dimensions)
    packed.data.forEach((row, at) => close(row.embedding, plain.data[at].embedding))
    const length = Math.hypot(...packed.data[0].embedding)
    assert.ok(Math.abs(length - 1) < 1e-3, `the length is ${length}`)
    assert.ok(packed.usage.total_tokens > 0, 'no usage')
  })
}

promise('models: the list has the catalogue and the built-in embedder, and one is found by its whole name', async () => {
  const known = (await all(ai.models.list())).map((model) => model.id)

  for (const name of ['standin/ok', 'standin/free:free', EMBEDDER]) {
    assert.ok(known.includes(name), `${name} is not among ${known}`)
    assert.equal((await ai.models.retrieve(name)).id, name)
  }
  await raised(OpenAI.NotFoundError, () => ai.models.retrieve('nobody/nothing'), 404)
})

// --- errors

promise('a wrong key is an AuthenticationError, and the client does not try again', async () => {
  const [wrong, count] = counting('cmg_wrong-wrong-wrong-wrong-wrong-wrong-wrong')

  const error = await raised(OpenAI.AuthenticationError, () => chat('standin/ok', {}, wrong), 401)

  assert.deepEqual([error.type, error.code], ['authentication_error', 'invalid_api_key'])
  assert.ok(error.requestID, 'no x-request-id')
  assert.equal(count.sent, 1)
})

for (const [status, kind, family] of [
  [400, OpenAI.BadRequestError, 'invalid_request_error'],
  [403, OpenAI.PermissionDeniedError, 'permission_error'],
  [404, OpenAI.NotFoundError, 'not_found_error'],
  [422, OpenAI.UnprocessableEntityError, 'invalid_request_error'],
  [429, OpenAI.RateLimitError, 'rate_limit_error'],
  [503, OpenAI.InternalServerError, 'upstream_error'],
]) {
  promise(`the upstream's ${status} is a ${kind.name}, before a stream too`, async () => {
    for (const stream of [false, true]) {
      const error = await raised(kind, () => chat(`standin/${status}:node-${stream}`, { stream }), status)

      assert.equal(error.type, family)
      assert.equal(error.error.request_id, error.requestID)
      assert.equal(error.headers.get('retry-after'), status === 429 || status === 503 ? '1' : null)
    }
  })
}

promise("a model on the key's block list is a PermissionDeniedError", async () => {
  const blocked = client(await newKey({ model_blocklist: ['standin/echo'] }))

  const error = await raised(OpenAI.PermissionDeniedError, () => chat('standin/echo', {}, blocked), 403)

  assert.deepEqual([error.code, error.param], ['model_not_allowed', 'model'])
  assert.equal((await chat('standin/ok', {}, blocked)).choices[0].message.content, TEXT)
})

promise('a budget that is spent is a 402, and the client does not try again', async () => {
  const [limited, count] = counting(await newKey({ daily_budget_usd: '0.0001' }))
  await chat('standin/ok', {}, limited)
  count.sent = 0

  const error = await raised(OpenAI.APIError, () => chat('standin/ok', {}, limited), 402)

  assert.equal(error.code, 'quota_exceeded')
  assert.equal(count.sent, 1)
})

promise("a key's own rate is tried again by the client after as long as Retry-After says", async () => {
  const [limited, count] = counting(await newKey({ rpm_limit: 30 }))
  // All that it may ask at once; then one request fits every two seconds.
  await eventually('the rate is used up', async () => {
    const [response] = await Promise.all(
      Array.from({ length: 5 }, () => fetch(`${SERVER}/v1/models`, { headers: { authorization: `Bearer ${limited.apiKey}` } })),
    )
    return response.status === 429
  })
  const begun = Date.now()

  const answer = await chat('standin/ok', {}, limited)

  assert.equal(answer.choices[0].message.content, TEXT)
  assert.ok(count.sent >= 2, `${count.sent} request: there was no 429`)
  assert.ok(Date.now() - begun >= 900, `tried again after ${Date.now() - begun} ms already`)
})

promise('a stream that is cut, spoilt or ended by an error raises, never ends quietly', async () => {
  for (const behaviour of ['chunks-20+cut:node', 'cut-frame:node', 'error-mid:node', 'chunks-20+malformed:node']) {
    const read = []

    const error = await raised(OpenAI.APIError, async () => {
      for await (const chunk of await chat(`standin/${behaviour}`, { stream: true })) read.push(chunk)
    })

    assert.ok(textOf(read), `${behaviour}: what came before was kept back`)
    assert.ok(!finishOf(read).includes('stop'), `${behaviour}: it seemed to be whole`)
    assert.ok(error.error.metadata.error_type, `${behaviour}: no error_type`)
  }
})

promise('a client that stops reading a stream is a row `client_gone` in the ledger', async () => {
  const { data: stream, response } = await chat('standin/chunks-600+gap-100', { stream: true }).withResponse()

  for await (const chunk of stream) if (textOf([chunk])) break

  const path = `/admin/api/usage/requests?request_id=${response.headers.get('x-request-id')}`
  const [row] = await eventually('a row', async () => {
    const { data } = await http(path, ADMIN_TOKEN)
    return data.length > 0 && data
  })
  assert.equal(row.ending, 'client_gone')
})

// --- memory

const FACT = 'We decided to use PostgreSQL for the billing service.'
const QUESTION = 'Which database did we decide to use for the billing service?'

/** Says something to standin/echo; the headers of its answer, which has to be the same words. */
async function echoed(words, { memory, headers, stream = false }) {
  const body = { model: 'standin/echo', messages: says(words), stream, ...(memory && { memory }) }
  const { data, response } = await ai.chat.completions.create(body, { headers }).withResponse()
  assert.equal(stream ? textOf(await all(data)) : data.choices[0].message.content, words)
  return response.headers
}

for (const [way, wish] of [
  ['by the body', (thread) => ({ memory: { thread_id: thread, mode: 'readwrite' } })],
  ['by headers', (thread) => ({ headers: { 'x-cmg-thread': thread, 'x-cmg-memory': 'readwrite' } })],
  ['of streamed calls', (thread) => ({ headers: { 'x-cmg-thread': thread }, stream: true })],
]) {
  promise(`memory ${way}: a fact of one call is recalled in the next, and both turns of each are stored`, async () => {
    const thread = `thread-${randomUUID().slice(0, 12)}`
    await echoed(FACT, wish(thread))
    const both = (words) => [['user', words], ['assistant', words]]
    await eventually('the first exchange is stored', async () => (await said(thread)).length >= 2)
    assert.deepEqual(await said(thread), both(FACT))

    const headers = await echoed(QUESTION, wish(thread))

    const ids = headers.get('x-cmg-memory-ids')?.split(',') ?? []
    const recalled = (await items(thread)).filter((item) => ids.includes(item.id))
    assert.equal(recalled.length, ids.length, `not all of ${ids} are of the thread`)
    assert.ok(recalled.some((item) => item.text.includes('PostgreSQL')), `the fact is not among the ids "${ids}"`)
    await eventually('the second exchange is stored', async () => (await said(thread)).length >= 4)
    assert.deepEqual(await said(thread), [...both(FACT), ...both(QUESTION)])
  })
}

promise('Idempotency-Key: the same body is replayed, another one is a ConflictError', async () => {
  const headers = { 'idempotency-key': randomUUID() }
  const ask = (words) => chat('standin/ok', { messages: says(words) }, ai, { headers }).withResponse()

  const [first, again] = [await ask('Hello'), await ask('Hello')]

  assert.equal(first.response.headers.get('idempotent-replayed'), null)
  assert.equal(again.response.headers.get('idempotent-replayed'), 'true')
  assert.equal(again.data.id, first.data.id)
  await raised(OpenAI.ConflictError, () => ask('Bye'), 409)
})

promise('responses, whole and streamed: the text is the same', async () => {
  const request = { model: 'standin/ok', input: 'Hello' }
  const answer = await ai.responses.create(request)
  const events = await all(ai.responses.create({ ...request, stream: true }))

  assert.equal(answer.output_text, TEXT)
  assert.equal(events.map((event) => event.delta ?? '').join(''), TEXT)
  assert.equal(events.at(-1).type, 'response.completed')
})

// --- running

console.log(`Node ${process.versions.node}, openai ${require('openai/version').VERSION}`)
let failed = 0
for (const [words, check] of checks) {
  try {
    await check()
    console.log(`ok    ${words}`)
  } catch (error) {
    failed += 1
    const at = error.stack?.match(/node_client\.mjs:\d+/)?.[0] ?? '?'
    console.log(`FAIL  ${words}\n      ${at}: ${error.name}: ${error.message.replace(/\s+/g, ' ')}`)
  }
}
console.log(`node: ${checks.length - failed} passed, ${failed} failed`)
process.exit(failed ? 1 : 0)
