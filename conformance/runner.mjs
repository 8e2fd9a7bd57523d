// Drives the HTTP cache tests from their own modules, and writes what they found as JSON.
//
//   node runner.mjs run SUITE OUT shared|private BASE CHUNK [ID...]
//   node runner.mjs published SUITE OUT
//   node runner.mjs tests SUITE OUT
//
// SUITE is the folder of http-cache-tests; BASE the address of the cache under test; CHUNK how many tests run at a time.
// With IDs, only those tests and what they depend on are run, and their messages are printed.
// "published" scores the results that the suite brings along of other caches. "tests" writes the tests themselves.

import fs from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { pathToFileURL } from 'node:url'

const [command, suite, out, ...rest] = process.argv.slice(2)

// The published package and the repository keep the same modules in different places.
const repository = fs.existsSync(path.join(suite, 'test-engine'))
const load = file => import(pathToFileURL(path.join(suite, file)))
const engine = repository ? 'test-engine/' : ''
const { runTests, getResults } = await load(engine + 'client/runner.mjs')
const { determineTestResult } = await load(engine + (repository ? 'lib/results.mjs' : 'lib/display.mjs'))

// tests/index.mjs, and so not the Surrogate-Control tests that the package also holds: that field is no standard,
// and the repository dropped them for CDN-Cache-Control.
const groups = (await load('tests/index.mjs')).default
const all = groups.flatMap(group => group.tests)

// The suite tells outcomes apart by symbol.
const outcomes = {
  '-': 'untested',
  '✅': 'pass',
  '⛔️': 'fail',
  '⚠️': 'optional_fail',
  Y: 'yes',
  N: 'no',
  '🔹': 'setup_fail',
  '⁉️': 'harness_fail',
  '⚪️': 'dependency_fail',
  '↻': 'retry'
}

// The suite's rule for what a mode runs. Its runner has the same; this one also finds tests that were lost on the way.
function runsIn (test, mode) {
  if (mode === 'private') return test.browser_skip !== true && test.cdn_only !== true
  return test.browser_only !== true
}

function report (mode, results, tests = all) {
  return tests.filter(test => runsIn(test, mode)).map(test => {
    const result = results[test.id]
    const symbol = determineTestResult(groups, test.id, results)[2]
    if (!(symbol in outcomes)) throw new Error(`${test.id}: unknown outcome ${symbol}`)
    return {
      id: test.id,
      name: test.name,
      kind: test.kind || 'required',
      outcome: outcomes[symbol],
      message: Array.isArray(result) ? result.join(': ') : ''
    }
  })
}

function withDependencies (ids) {
  const wanted = new Set()
  const add = id => {
    const test = all.find(test => test.id === id)
    if (test === undefined) throw new Error(`no test ${id}`)
    wanted.add(id)
    for (const dependency of test.depends_on || []) add(dependency)
  }
  ids.forEach(add)
  return groups.map(group => ({ ...group, tests: group.tests.filter(test => wanted.has(test.id)) }))
}

async function run (mode, base, chunk, ids) {
  let selected = groups
  if (ids.length > 0) {
    selected = withDependencies(ids)
    for (const test of all.filter(test => ids.includes(test.id))) {
      test.dump = true
      for (const request of test.requests) {
        // The origin's log of interim responses takes for granted that they have headers.
        request.interim_responses = request.interim_responses?.map(([status, headers = []]) => [status, headers])
      }
    }
  }
  const browser = mode === 'private'
  const require = createRequire(path.join(path.resolve(suite), 'package.json'))
  if (repository) {
    // The tests for interim responses need the fetch of the suite's undici: the one built into Node.js may be of
    // another version, and the two do not mix.
    globalThis.fetch = require('undici').fetch
    await runTests(selected, browser, base, chunk)
  } else {
    // Browser mode needs a fetch that makes Cache-Control of a request's cache mode. The package's own has none.
    await runTests(selected, browser ? fetch : require('node-fetch'), browser, base, chunk)
  }
  return { tests: all.length, results: report(mode, getResults(), selected.flatMap(group => group.tests)) }
}

async function published () {
  const index = (await load('results/index.mjs')).default
  return index.map(cache => {
    const mode = cache.type === 'browser' ? 'private' : 'shared'
    const results = JSON.parse(fs.readFileSync(path.join(suite, 'results', cache.file)))
    return { name: cache.name, version: cache.version, mode, tests: all.length, results: report(mode, results) }
  })
}

let output
if (command === 'run') {
  const [mode, base, chunk, ...ids] = rest
  output = await run(mode, base, parseInt(chunk), ids)
} else if (command === 'published') {
  output = await published()
} else if (command === 'tests') {
  output = all
} else {
  throw new Error(`unknown command ${command}`)
}
fs.writeFileSync(out, JSON.stringify(output, null, 1))
process.exit(0) // connections kept alive would hold the process
