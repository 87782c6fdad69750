import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { AppError, SCENARIO_BYTES_MAX, type Problem } from '../../shared/base/index.ts';
import { formatProblems, loadScenario } from '../../shared/scenario/index.ts';

const FOLDER = fileURLToPath(new URL('../fixtures/broken/', import.meta.url));

/** Every problem of a file, in order: its line, its path, and how its message begins. */
type Expected = readonly (readonly [line: number | undefined, path: string, message: string])[];

const BROKEN: readonly (readonly [file: string, problems: Expected])[] = [
  ['a-list.yaml', [[1, '', 'expected a scenario file: a mapping with scenarios, got a list']]],
  ['a-scalar.yaml', [[1, '', 'expected a scenario file: a mapping with scenarios, got "hello"']]],
  ['alias-bomb.yaml', [[undefined, '', 'aliases unfold to too much: at most 100 copies are made']]],
  ['arrivals-unknown.yaml', [[7, 'scenarios.browse.arrivals', 'expected uniform or poisson, got "bursty"']]],
  ['binary.yaml', [[undefined, '', 'this is a binary file, expected text']]],
  [
    'capture-name.yaml',
    [[9, 'scenarios.browse.flow[0].capture["my id"]', 'a capture is named by letters, digits and _, not beginning with a']],
  ],
  ['capture-pattern.yaml', [[9, 'scenarios.browse.flow[0].capture.id', 'not a legal pattern: /[/: Unterminated character class']]],
  [
    'capture-reserved.yaml',
    [[9, 'scenarios.browse.flow[0].capture.vu', 'a capture is named by letters, digits and _, not beginning with a']],
  ],
  ['capture-source.yaml', [[9, 'scenarios.browse.flow[0].capture.id', 'expected "json $.path", "header NAME" or "regex /pattern/", got']]],
  [
    'check-capture.yaml',
    [[11, 'scenarios.browse.flow[1].check.body', '${id} is not known before the run; only ${env.NAME} and ${vars.name}']],
  ],
  ['check-header-name.yaml', [[9, 'scenarios.browse.flow[0].check.header', 'expected "header NAME", got "header"']]],
  ['check-json-compare.yaml', [[9, 'scenarios.browse.flow[0].check["json $.n"]', 'expected a number after ">", got "many"']]],
  [
    'check-json-path.yaml',
    [[9, 'scenarios.browse.flow[0].check["json items[0]"]', 'expected "json" and a path such as $.items[0].id, got "json items[0]"']],
  ],
  ['check-list.yaml', [[9, 'scenarios.browse.flow[0].check', 'expected a mapping of what to check to what it must be, such as {']]],
  ['check-mapping.yaml', [[9, 'scenarios.browse.flow[0].check.status', 'expected a status such as 200, a list such as [200, 201], or a']]],
  ['check-on-head.yaml', [[9, 'scenarios.browse.flow[0].check.body', 'the response to HEAD has no body to check']]],
  ['check-pattern-flags.yaml', [[9, 'scenarios.browse.flow[0].check.body', 'the flags of a pattern are i, m, s and u, got "g"']]],
  ['check-pattern.yaml', [[9, 'scenarios.browse.flow[0].check.body', 'not a legal pattern: /(/: Unterminated group']]],
  [
    'check-size-word.yaml',
    [[9, 'scenarios.browse.flow[0].check.size', 'expected a number of bytes, or a comparison such as "> 0", got "large"']],
  ],
  [
    'check-status-class.yaml',
    [[9, 'scenarios.browse.flow[0].check.status', 'expected a status such as 200, a list such as [200, 201], or a']],
  ],
  [
    'check-status-range.yaml',
    [[9, 'scenarios.browse.flow[0].check.status', 'expected a status such as 200, a list such as [200, 201], or a']],
  ],
  [
    'check-unknown-subject.yaml',
    [[9, 'scenarios.browse.flow[0].check.staus', 'a check is about status, body, size, "header NAME" or "json $.path",']],
  ],
  ['cyclic.mjs', [[undefined, '', 'the default export contains itself, or cannot be written as plain']]],
  ['data-column-twice.yaml', [[1, 'data.users.file', 'twice.csv: the column "name" stands twice']]],
  ['data-column.yaml', [[9, 'scenarios.browse.flow[0].get', 'the data set "users" has no column "nmae"; its columns are name and']]],
  ['data-directory.yaml', [[1, 'data.users.file', '.: this is a directory, expected a file']]],
  ['data-empty.yaml', [[1, 'data.users.file', 'empty.csv: the file is empty']]],
  ['data-exhausted-order.yaml', [[1, 'data.users.whenExhausted', 'it is for order: unique; random rows are never used up']]],
  ['data-exhausted-word.yaml', [[1, 'data.users.whenExhausted', 'expected stop or recycle, got "wrap"']]],
  ['data-header-only.yaml', [[1, 'data.users.file', 'header-only.csv: there are no rows below the header']]],
  ['data-holes.yaml', [[1, 'data.users.file', 'holes.json: row 2 has no "age", which other rows have']]],
  ['data-json-syntax.yaml', [[1, 'data.users.file', 'syntax.json: not legal JSON: Unexpected end of JSON input']]],
  ['data-kind.yaml', [[1, 'data.users.file', 'only-comment.yaml: expected a .csv or a .json file']]],
  ['data-mapping.yaml', [[1, 'data.users.file', 'mapping.json: expected a list of objects, got a mapping']]],
  ['data-missing-file.yaml', [[1, 'data.users.file', 'nobody.csv: there is no such file']]],
  ['data-nested.yaml', [[1, 'data.users.file', 'nested.json: row 1, "name": expected text, a number or true/false,']]],
  ['data-no-column.yaml', [[9, 'scenarios.browse.flow[0].get', '"users" is a data set: name a column of it, as in ${users.name}']]],
  ['data-order.yaml', [[1, 'data.users.order', 'expected unique, sequential or random, got "shuffled"']]],
  ['data-ragged.yaml', [[1, 'data.users.file', 'ragged.csv: not legal CSV: Invalid Record Length: expect 2, got 1 on']]],
  ['data-reserved.yaml', [[1, 'data.env', 'a data set is named by a letter, then letters, digits, _ or -; env,']]],
  ['data-unknown-set.yaml', [[9, 'scenarios.browse.flow[0].get', 'there is no data set "user"; did you mean "users"?']]],
  ['default-header.yaml', [[1, 'defaults.headers["bad name"]', '"bad name" is no legal header name']]],
  ['default-headers-list.yaml', [[1, 'defaults.headers', 'expected a mapping of names to text, numbers or true/false, got a list']]],
  ['default-text.js', [[undefined, '', 'expected a scenario file: a mapping with scenarios, got "hello"']]],
  ['default-timeout.yaml', [[1, 'defaults.timeout', 'expected a duration from 1ms to 1h, got "10 parsecs"']]],
  ['default-undefined.js', [[undefined, '', 'there is no default export; expected `export default defineScenario({']]],
  ['duplicate-key.yaml', [[9, '', 'the key "target" stands twice in the same mapping']]],
  ['duration-eternal.yaml', [[6, 'scenarios.browse.duration', 'expected a duration above zero such as 30s, 1m30s or 250ms (at most']]],
  ['duration-negative.yaml', [[6, 'scenarios.browse.duration', 'expected a duration above zero such as 30s, 1m30s or 250ms (at most']]],
  ['duration-unit.yaml', [[6, 'scenarios.browse.duration', 'expected a duration above zero such as 30s, 1m30s or 250ms (at most']]],
  ['duration-zero.yaml', [[6, 'scenarios.browse.duration', 'expected a duration above zero such as 30s, 1m30s or 250ms (at most']]],
  ['empty.yaml', [[undefined, '', 'the file is empty']]],
  ['env-missing.yaml', [[9, 'scenarios.browse.flow[0].headers.authorization', '${env.TOKEN} is not set; pass it as -e TOKEN=VALUE']]],
  ['executor-missing.yaml', [[3, 'scenarios.browse.executor', 'missing: the executors are constant-arrival-rate,']]],
  ['executor-number.yaml', [[4, 'scenarios.browse.executor', 'expected the name of an executor, got 7; the executors are']]],
  ['ramping-vus-nobody.yaml', [[6, 'scenarios.browse.stages', 'expected at least one stage with a duration and a target above zero']]],
  ['shared-iterations-few.yaml', [[6, 'scenarios.browse.iterations', 'expected at least as many iterations as VUs (10), got 3']]],
  ['iterations-none.yaml', [[5, 'scenarios.browse.iterations', 'expected a whole number of iterations from 1']]],
  ['start-after-nobody.yaml', [[7, 'scenarios.browse.startAfter', 'there is no scenario "brwse"; did you mean "browse"?']]],
  ['start-after-circle.yaml', [[14, 'scenarios.two.startAfter', 'scenarios wait for each other: one → two → one']]],
  [
    'executor-of-k6.yaml',
    [[4, 'scenarios.browse.executor', 'Muster does not have the executor "externally-controlled"; the executors are']],
  ],
  ['executor-unknown.yaml', [[4, 'scenarios.browse.executor', 'there is no executor "constant-arival-rate"; did you mean']]],
  ['exits.mjs', [[undefined, '', 'the module ended the program while it loaded; expected it to export a']]],
  ['flow-empty.yaml', [[7, 'scenarios.browse.flow', 'expected at least one request in the flow']]],
  ['flow-mapping.yaml', [[7, 'scenarios.browse.flow', 'expected a list of steps, got a mapping']]],
  ['flow-missing.yaml', [[3, 'scenarios.browse.flow', 'missing: expected a list of steps']]],
  ['flow-only-thinks.yaml', [[7, 'scenarios.browse.flow', 'expected at least one request in the flow']]],
  [
    'flow-value.mjs',
    [
      [undefined, 'scenarios.browse.flow[0].json.when', 'expected a JSON value, got a function'],
      [undefined, 'scenarios.browse.flow[1].get', 'expected text, got a function'],
    ],
  ],
  ['interval-too-long.yaml', [[1, 'interval', 'expected a duration from 100ms to 60s in whole milliseconds, got "5m"']]],
  ['interval-too-short.yaml', [[1, 'interval', 'expected a duration from 100ms to 60s in whole milliseconds, got']]],
  ['key-of-other-executor.yaml', [[7, 'scenarios.browse.vus', 'unknown key "vus"; the keys here are executor, rate, duration,']]],
  ['latin1.yaml', [[undefined, '', 'this is not UTF-8 text']]],
  ['max-vus-below.yaml', [[8, 'scenarios.browse.maxVUs', 'expected at least preAllocatedVUs (50), got 10']]],
  ['finally-limit.mjs', [[undefined, 'scenarios.browse.finallyLimit', 'there is no finally that it could limit']]],
  ['finally-steps.mjs', [[undefined, 'scenarios.browse.finally', 'expected an async function, as the flow is one, got a list']]],
  ['metric-key.yaml', [[2, 'metrics.orders.kind', 'unknown key "kind"; the keys here are type and unit']]],
  ['metric-name.yaml', [[2, 'metrics.queue-length', 'a metric is named by at most 128 letters, digits and _, not beginning']]],
  ['metric-taken.yaml', [[2, 'metrics.http_reqs', '"http_reqs" is a metric of every run; a metric of your own needs a name']]],
  ['metric-type.yaml', [[2, 'metrics.orders.type', 'expected trend, counter, rate or gauge, got "sum"']]],
  ['metric-unit.yaml', [[2, 'metrics.orders.unit', 'a counter has no unit']]],
  ['metrics-list.yaml', [[1, 'metrics', 'expected a mapping of names to metrics, got a list']]],
  ['setup-empty.yaml', [[1, 'setup', 'expected at least one request in the flow']]],
  ['setup-itself.yaml', [[2, 'setup[0].get', 'there is no setup before this whose result could be used as ${setup.token}']]],
  ['setup-mapping.yaml', [[1, 'setup', 'expected a list of steps, got a mapping']]],
  ['setup-none.yaml', [[7, 'scenarios.browse.flow[0].get', 'there is no setup before this whose result could be used as ${setup.token}']]],
  [
    'setup-path.yaml',
    [[10, 'scenarios.browse.flow[0].get', 'expected a name such as ${setup.token} or ${setup.user.id}, got ${setup.user.}']],
  ],
  ['setup-step.yaml', [[2, 'setup[0].gett', 'unknown key "gett"; did you mean "get"?']]],
  ['setup-timeout.yaml', [[1, 'setupTimeout', 'expected a duration above zero such as 30s, 1m30s or 250ms (at most']]],
  ['setup-unknown.yaml', [[10, 'scenarios.browse.flow[0].get', 'the setup captures no "tokn"; did you mean "token"?']]],
  ['teardown-reference.yaml', [[9, 'teardown[0].delete', 'no earlier step captures "id"']]],
  ['threshold-own-kind.yaml', [[11, 'thresholds.orders[0]', 'orders is a counter: "p(99)" does not suit it, expected count or rate']]],
  ['threshold-own-missing.yaml', [[11, 'thresholds.order[0]', 'there is no metric "order"; did you mean "orders"?']]],
  ['missing-import.ts', [[undefined, '', 'missing-import.ts:1:25: Could not resolve "./nowhere.ts"']]],
  [
    'module-shape.ts',
    [
      [undefined, 'scenarios.browse.vus', 'expected a whole number of VUs from 1 to 1000000, got NaN'],
      [undefined, 'scenarios.browse.duration', 'expected a duration above zero such as 30s, 1m30s or 250ms (at most'],
      [undefined, 'scenarios.browse.flow', 'expected a list of steps, or an async function, got "none"'],
    ],
  ],
  ['name-number.yaml', [[1, 'name', 'expected a name of 1 to 200 characters on one line, got 7']]],
  ['no-default.ts', [[undefined, '', 'there is no default export; expected `export default defineScenario({']]],
  ['no-scenarios.yaml', [[1, 'scenarios', 'missing: expected a mapping of names to scenarios']]],
  ['only-comment.yaml', [[undefined, '', 'expected a scenario file: a mapping with scenarios, got nothing']]],
  ['only-spaces.yaml', [[undefined, '', 'the file is empty']]],
  ['pacing-unknown.yaml', [[1, 'pacing', 'expected precise or relaxed, got "lazy"']]],
  ['poisson-too-many.yaml', [[5, 'scenarios.browse.rate', 'this plans 5.00e+9 iterations; at most 1000000000 are planned with']]],
  ['rate-infinite.yaml', [[5, 'scenarios.browse.rate', 'expected a rate such as 200, "200/s" or "2k/s", got Infinity']]],
  ['rate-list.yaml', [[5, 'scenarios.browse.rate', 'expected a rate such as 200, "200/s" or "2k/s", got a list']]],
  ['rate-missing.yaml', [[3, 'scenarios.browse.rate', 'missing: expected a rate such as 200, "200/s" or "2k/s"']]],
  ['rate-nan.yaml', [[5, 'scenarios.browse.rate', 'expected a rate such as 200, "200/s" or "2k/s", got NaN']]],
  ['rate-negative.yaml', [[5, 'scenarios.browse.rate', 'expected a rate such as 200, "200/s" or "2k/s", got -5']]],
  ['rate-too-many.yaml', [[5, 'scenarios.browse.rate', 'this plans 5.00e+12 iterations; at most 1000000000000 are planned']]],
  ['rate-unit-clash.yaml', [[5, 'scenarios.browse.rate', '"10/s" is counted over another time than timeUnit; expected one time']]],
  ['rate-word.yaml', [[5, 'scenarios.browse.rate', 'expected a rate such as 200, "200/s" or "2k/s", got "fast"']]],
  ['rate-zero.yaml', [[5, 'scenarios.browse.rate', 'expected a rate above zero, got 0 for all the time']]],
  ['reference-empty.yaml', [[8, 'scenarios.browse.flow[0].get', '"${}" names nothing: expected a name such as ${id} or ${users.name},']]],
  [
    'reference-forward.yaml',
    [[8, 'scenarios.browse.flow[0].get', '"id" is captured only later in this flow; a step can use what earlier']],
  ],
  ['reference-is-var.yaml', [[9, 'scenarios.browse.flow[0].get', 'no earlier step captures "shop"; did you mean ${vars.shop}?']]],
  [
    'reference-own-step.yaml',
    [[8, 'scenarios.browse.flow[0].get', '"id" is captured only later in this flow; a step can use what earlier']],
  ],
  ['reference-unclosed.yaml', [[8, 'scenarios.browse.flow[0].get', '"${" is never closed by "}" in "/products/${id"; write $${ for a']]],
  ['reference-unknown.yaml', [[8, 'scenarios.browse.flow[0].get', 'no earlier step captures "id"']]],
  ['scenario-name.yaml', [[3, 'scenarios["my shop!"]', 'a scenario is named by at most 64 letters, digits, _, - or .,']]],
  ['scenario-nothing.yaml', [[3, 'scenarios.browse', 'expected a scenario: a mapping with executor and flow, got nothing']]],
  ['scenarios-list.yaml', [[2, 'scenarios', 'expected a mapping of names to scenarios, got a list']]],
  ['seed-negative.yaml', [[1, 'seed', 'expected a whole number from 0 to 4294967295, got -1']]],
  [
    'stage-unknown-key.yaml',
    [
      [5, 'scenarios.browse.stages[0].target', 'missing: expected a rate such as 200, "200/s" or "2k/s"'],
      [5, 'scenarios.browse.stages[0].rate', 'unknown key "rate"; the keys here are duration and target'],
    ],
  ],
  ['stages-always-zero.yaml', [[5, 'scenarios.browse.stages', 'expected a rate above zero, got 0 for all the time']]],
  ['stages-empty.yaml', [[5, 'scenarios.browse.stages', 'expected at least one stage, got an empty list']]],
  ['stages-no-time.yaml', [[5, 'scenarios.browse.stages', 'expected at least one stage with a duration above zero']]],
  ['stages-unit-clash.yaml', [[5, 'scenarios.browse.stages[1].target', '"600/m" is counted over another time than the rate before it;']]],
  [
    'step-header-break.yaml',
    [[9, 'scenarios.browse.flow[0].headers.x-note', 'a header holds one line of latin-1 text: no line breaks, no control']],
  ],
  [
    'step-header-length.yaml',
    [[9, 'scenarios.browse.flow[0].headers.Content-Length', '"Content-Length" is written by Muster itself, from the body']],
  ],
  [
    'step-mistakes.yaml',
    [
      [9, 'scenarios.browse.flow[0].headers', 'expected a mapping of names to text, numbers or true/false, got "text"'],
      [10, 'scenarios.browse.flow[0].check.status', 'expected a status such as 200, a list such as [200, 201], or a comparison'],
      [10, 'scenarios.browse.flow[0].check.statuss', 'a check is about status, body, size, "header NAME" or "json $.path", got'],
    ],
  ],
  ['step-no-verb.yaml', [[8, 'scenarios.browse.flow[0]', 'a step is exactly one of get, post, put, patch, delete, head, options']]],
  ['step-query-list.yaml', [[9, 'scenarios.browse.flow[0].query', 'expected a mapping of names to text, numbers, true/false or lists of']]],
  [
    'step-query-nothing.yaml',
    [[9, 'scenarios.browse.flow[0].query.page', 'expected text, a number or true/false, or a list of them, got nothing']],
  ],
  ['step-text.yaml', [[8, 'scenarios.browse.flow[0]', 'expected a step: a mapping with get, post, put, patch, delete, head,']]],
  ['step-timeout.yaml', [[9, 'scenarios.browse.flow[0].timeout', 'expected a duration from 1ms to 1h, got "2h"']]],
  [
    'step-two-bodies.yaml',
    [[10, 'scenarios.browse.flow[0].body', 'a request has one body: expected only one of json, form, body, bodyFile and multipart, got']],
  ],
  ['step-two-verbs.yaml', [[8, 'scenarios.browse.flow[0]', 'a step is exactly one of get, post, put, patch, delete, head, options']]],
  ['step-unknown-key.yaml', [[9, 'scenarios.browse.flow[0].cheks', 'unknown key "cheks"; did you mean "check"?']]],
  ['syntax-error.ts', [[undefined, '', 'syntax-error.ts:3:43: Expected identifier but found ","']]],
  ['syntax.yaml', [[4, '', 'not legal YAML: Flow map in block collection must be sufficiently']]],
  [
    'tabs.yaml',
    [
      [2, '', 'YAML is indented with spaces, not with tabs'],
      [3, '', 'YAML is indented with spaces, not with tabs'],
    ],
  ],
  ['target-credentials.yaml', [[1, 'target', 'a URL carries no user and password here: send an authorization header']]],
  [
    'http-cookies.yaml',
    [
      [3, 'http.cookies', 'expected per-iteration, per-vu or off, got "always"'],
      [11, 'scenarios.browse.flow[0].cookies', 'the step has a cookie header already: give one of both'],
    ],
  ],
  ['http-version.yaml', [[3, 'http.version', 'expected 1.1, 2 or auto, got 3']]],
  ['target-ftp.yaml', [[1, 'target', 'expected a URL such as http://127.0.0.1:8080: only http and https are']]],
  ['target-not-url.yaml', [[1, 'target', 'expected a URL such as http://127.0.0.1:8080, got "shop"']]],
  ['target-query.yaml', [[1, 'target', 'a target has no query and no fragment']]],
  ['think-backwards.yaml', [[9, 'scenarios.browse.flow[1].think', 'the span "3s..1s" ends before it begins']]],
  ['think-extra.yaml', [[10, 'scenarios.browse.flow[1].name', 'a think step has nothing but think, got "name"']]],
  ['think-word.yaml', [[9, 'scenarios.browse.flow[1].think', 'expected a pause such as 1s, or a span such as 1s..3s, got "a while"']]],
  ['threshold-abort.yaml', [[10, 'thresholds.http_req_duration[0].abortOnFail', 'expected true or false, got "maybe"']]],
  [
    'threshold-aggregation.yaml',
    [[10, 'thresholds.http_req_failed[0]', 'http_req_failed is a rate: "p(95)" does not suit it, expected rate']],
  ],
  [
    'threshold-bound.yaml',
    [[10, 'thresholds.http_req_duration[0]', 'expected a number of milliseconds, or a duration such as 1.5s after']],
  ],
  ['threshold-empty.yaml', [[10, 'thresholds.http_req_duration', 'expected at least one threshold, got an empty list']]],
  ['threshold-key.yaml', [[10, 'thresholds.http_req_duration[0].abortOnFial', 'unknown key "abortOnFial"; did you mean "abortOnFail"?']]],
  ['threshold-metric.yaml', [[10, 'thresholds.http_req_durations[0]', 'there is no metric "http_req_durations"; did you mean']]],
  [
    'threshold-not-list.yaml',
    [[10, 'thresholds.http_req_duration', 'expected a list of thresholds such as ["p(99)<250"], got "p(95)<250"']],
  ],
  ['threshold-percentile.yaml', [[10, 'thresholds.http_req_duration[0]', 'expected a percentile between p(0) and p(100), got "p(101)"']]],
  [
    'threshold-rate-percent.yaml',
    [[10, 'thresholds.http_req_failed[0]', 'http_req_failed is a fraction between 0 and 1 (5 % is 0.05), got 5']],
  ],
  [
    'threshold-scenario.yaml',
    [[10, 'thresholds["http_req_duration{scenario:brows}"][0]', 'there is no scenario "brows"; did you mean "browse"?']],
  ],
  ['threshold-syntax.yaml', [[10, 'thresholds.http_req_duration[0]', 'expected a condition such as p(95)<250, got "p95 under 250"']]],
  [
    'threshold-tags.yaml',
    [[10, 'thresholds["http_req_duration{scenario}"][0]', 'expected tags as {name:value,name:value}, got "{scenario}"']],
  ],
  ['threshold-window.yaml', [[10, 'thresholds.http_req_duration[0].window', 'expected at least one interval (1s), got 100ms']]],
  ['throws-text.mjs', [[undefined, '', 'throws-text.mjs: threw while it loaded: just text']]],
  ['throws.ts', [[undefined, '', 'throws.ts:4:31: threw while it loaded: Error: no rate given']]],
  ['two-documents.yaml', [[9, '', 'expected one YAML document in the file, got several']]],
  ['unknown-alias.yaml', [[undefined, '', 'the alias *fast has no anchor &fast before it']]],
  ['unknown-scenario-key.yaml', [[7, 'scenarios.browse.maxVus', 'unknown key "maxVus"; did you mean "maxVUs"?']]],
  ['unknown-tag.yaml', [[1, '', 'not legal YAML: Unresolved tag: !secret']]],
  ['unknown-top-key.yaml', [[9, 'treshholds', 'unknown key "treshholds"; did you mean "thresholds"?']]],
  ['url-fragment.yaml', [[8, 'scenarios.browse.flow[0].get', 'a fragment (#…) is never sent to a server']]],
  ['url-illegal.yaml', [[8, 'scenarios.browse.flow[0].get', 'expected a URL such as http://127.0.0.1:8080, got "http://[::1/"']]],
  ['url-no-target.yaml', [[7, 'scenarios.browse.flow[0].get', 'a path needs a target: give one at the top of the file, or --target']]],
  ['url-relative.yaml', [[8, 'scenarios.browse.flow[0].get', 'expected a path that begins with "/", or a whole http or https URL,']]],
  ['vars-cycle.yaml', [[2, 'vars.a', 'cyclic interpolation: a → b → c → a']]],
  ['vars-list.yaml', [[1, 'vars.a', 'expected text, a number or true/false, got a list']]],
  ['vars-missing.yaml', [[1, 'vars.full', 'there is no "bas" under vars; did you mean "base"?']]],
  ['vars-self.yaml', [[1, 'vars.a', 'cyclic interpolation: a → a']]],
  ['vus-fraction.yaml', [[6, 'scenarios.browse.vus', 'expected a whole number of VUs from 1 to 1000000, got 1.5']]],
  ['vus-too-many.yaml', [[6, 'scenarios.browse.vus', 'expected a whole number of VUs from 1 to 1000000, got 2000000']]],
  ['vus-zero.yaml', [[6, 'scenarios.browse.vus', 'expected a whole number of VUs from 1 to 1000000, got 0']]],
  ['warmup-too-long.yaml', [[7, 'scenarios.browse.warmup', 'expected less than the load lasts (5s): nothing would be measured']]],
  ['warmup-word.yaml', [[7, 'scenarios.browse.warmup', 'expected a duration such as 30s, 1m30s or 250ms (at most 31d), got "soon"']]],
  ['wrong-extension.txt', [[undefined, '', 'a scenario file ends in .yaml, .yml, .ts, .mts, .js or .mjs']]],
  ['zero-scenarios.yaml', [[2, 'scenarios', 'expected at least one scenario, got an empty mapping']]],
  ['group-empty.yaml', [[9, 'scenarios.browse.flow[0].steps', 'expected at least one step, got an empty list']]],
  ['group-extra.yaml', [[9, 'scenarios.browse.flow[0].name', 'a group step has nothing but group, steps and think, got "name"']]],
  ['group-no-steps.yaml', [[8, 'scenarios.browse.flow[0].steps', 'missing: expected a list of steps']]],
  ['group-name.yaml', [[8, 'scenarios.browse.flow[0].group', 'expected a name of 1 to 200 characters on one line, got ""']]],
  ['group-inside.yaml', [[11, 'scenarios.browse.flow[0].steps[0].cheks', 'unknown key "cheks"; did you mean "check"?']]],
  [
    'transaction-list.yaml',
    [[8, 'scenarios.browse.flow[0].transaction', 'expected a name of 1 to 200 characters on one line, got a list']],
  ],
  ['transaction-steps.yaml', [[9, 'scenarios.browse.flow[0].steps', 'expected a list of steps, got a mapping']]],
  [
    'loop-fraction.yaml',
    [[8, 'scenarios.browse.flow[0].loop', 'expected a whole number of turns from 0 to 1000000, or a reference such as ${count}, got 1.5']],
  ],
  [
    'loop-word.yaml',
    [
      [
        8,
        'scenarios.browse.flow[0].loop',
        'expected a whole number of turns from 0 to 1000000, or a reference such as ${count}, got "often"',
      ],
    ],
  ],
  ['loop-unknown.yaml', [[8, 'scenarios.browse.flow[0].loop', 'no earlier step captures "count"']]],
  [
    'loop-pacing.yaml',
    [[9, 'scenarios.browse.flow[0].pacing', 'expected a duration such as 30s, 1m30s or 250ms (at most 31d), got "soon"']],
  ],
  [
    'while-text.yaml',
    [[8, 'scenarios.browse.flow[0].while', 'expected a condition such as { "${state}": ACTIVE } or { status: 200 }, got "forever"']],
  ],
  [
    'while-empty.yaml',
    [[8, 'scenarios.browse.flow[0].while', 'expected a condition such as { "${state}": ACTIVE } or { status: 200 }, got an empty mapping']],
  ],
  ['while-limit.yaml', [[11, 'scenarios.browse.flow[1].limit', 'expected a whole number of turns from 1 to 1000000, got 0']]],
  ['while-unknown.yaml', [[8, 'scenarios.browse.flow[0].while["${stat}"]', 'no earlier step captures "stat"; did you mean "state"?']]],
  [
    'foreach-two.yaml',
    [
      [
        10,
        'scenarios.browse.flow[1].foreach',
        'expected one name and the list it stands for, such as { product: "${products}" }, got a mapping',
      ],
    ],
  ],
  [
    'foreach-no-capture.yaml',
    [[8, 'scenarios.browse.flow[0].foreach.x', 'expected a list that an earlier step captures, such as "${products}", got "${items}"']],
  ],
  [
    'foreach-name.yaml',
    [
      [
        10,
        'scenarios.browse.flow[1].foreach.vu',
        'a member is named by letters, digits and _, not beginning with a digit; data sets, env, vars, vu, iteration, setup ar',
      ],
    ],
  ],
  ['foreach-item-outside.yaml', [[12, 'scenarios.browse.flow[2].get', 'there is no data set "x"']]],
  ['if-no-then.yaml', [[9, 'scenarios.browse.flow[1].then', 'missing: expected a list of steps']]],
  [
    'if-no-response.yaml',
    [[8, 'scenarios.browse.flow[0].if.status', 'no request comes before this condition, so there is no response to look at']],
  ],
  [
    'if-subject.yaml',
    [
      [
        9,
        'scenarios.browse.flow[1].if.staus',
        'a condition is about "${name}", status, body, size, "header NAME" or "json $.path", got "staus"; did you mean ',
      ],
    ],
  ],
  [
    'if-two-references.yaml',
    [[10, 'scenarios.browse.flow[1].if["${a}-${a}"]', 'a condition looks at one reference such as "${state}", got "${a}-${a}"']],
  ],
  ['if-compare.yaml', [[10, 'scenarios.browse.flow[1].if["${a}"]', 'expected a number after ">", got "many"']]],
  [
    'if-other-branch.yaml',
    [[11, 'scenarios.browse.flow[1].else[0].get', '"a" is captured only later in this flow; a step can use what earlier steps captured']],
  ],
  ['choose-empty.yaml', [[9, 'scenarios.browse.flow[1].choose', 'expected at least one branch, got an empty list']]],
  ['choose-weight.yaml', [[8, 'scenarios.browse.flow[0].choose[0].weight', 'expected a weight above zero, at most 1000000, got 0']]],
  ['choose-no-steps.yaml', [[8, 'scenarios.browse.flow[0].choose[0].steps', 'missing: expected a list of steps']]],
  [
    'parallel-think.yaml',
    [[8, 'scenarios.browse.flow[0].parallel[1]', 'parallel holds plain requests only: no think, retry, poll or other steps']],
  ],
  [
    'parallel-sibling.yaml',
    [
      [
        11,
        'scenarios.browse.flow[0].parallel[1].get',
        '"a" is captured only later in this flow; a step can use what earlier steps captured',
      ],
    ],
  ],
  ['retry-alone.yaml', [[9, 'scenarios.browse.flow[1].steps', 'missing: expected a list of steps']]],
  ['retry-times.yaml', [[9, 'scenarios.browse.flow[0].retry.times', 'expected a whole number of further tries from 1 to 100, got 0']]],
  ['retry-backoff.yaml', [[9, 'scenarios.browse.flow[0].retry.backoff', 'expected a factor from 1 to 10, got 0.5']]],
  ['retry-key.yaml', [[9, 'scenarios.browse.flow[0].retry.waits', 'unknown key "waits"; did you mean "wait"?']]],
  [
    'poll-no-request.yaml',
    [
      [
        9,
        'scenarios.browse.flow[1]',
        'a step is exactly one of get, post, put, patch, delete, head, options, think, group, transaction, loop, while,',
      ],
    ],
  ],
  ['poll-retry.yaml', [[9, 'scenarios.browse.flow[0].retry', 'a poll tries again by itself: it has no retry']]],
  [
    'poll-no-limit.yaml',
    [[9, 'scenarios.browse.flow[0].poll.limit', 'missing: expected a duration above zero such as 30s, 1m30s or 250ms (at most 31d)']],
  ],
  ['poll-no-name.yaml', [[9, 'scenarios.browse.flow[0].poll.name', 'missing: expected a name of 1 to 200 characters on one line']]],
  [
    'poll-until.yaml',
    [[9, 'scenarios.browse.flow[0].poll.until', 'expected a condition such as { "${state}": ACTIVE } or { status: 200 }, got "ACTIVE"']],
  ],
  [
    'step-block-and-verb.yaml',
    [
      [
        8,
        'scenarios.browse.flow[0]',
        'a step is exactly one of get, post, put, patch, delete, head, options, think, group, transaction, loop, while,',
      ],
    ],
  ],
  ['step-steps.yaml', [[9, 'scenarios.browse.flow[0].steps', 'a request has no steps']]],
  ['finally-empty.yaml', [[9, 'scenarios.browse.finally', 'expected at least one step in finally']]],
  ['finally-mapping.yaml', [[9, 'scenarios.browse.finally', 'expected a list of steps, got a mapping']]],
  ['finally-unknown.yaml', [[9, 'scenarios.browse.finally[0].delete', 'no earlier step captures "id"']]],
  ['finally-limit.yaml', [[10, 'scenarios.browse.finallyLimit', 'expected a duration from 1ms to 10m, got "1h"']]],
  ['finally-limit-alone.yaml', [[9, 'scenarios.browse.finallyLimit', 'there is no finally that it could limit']]],
  ['pacing-word.yaml', [[9, 'scenarios.browse.pacing', 'expected a duration such as 30s, 1m30s or 250ms (at most 31d), got "often"']]],
];

describe('a broken scenario file is refused with every mistake at once', () => {
  test.each(BROKEN)('%s', async (file, expected) => {
    const problems = await problemsOf(join(FOLDER, file));
    expect(problems.map(({ line, path }) => [line, path])).toEqual(expected.map(([line, path]) => [line, path]));
    problems.forEach(({ message }, i) => {
      expect(message).toContain(expected[i]?.[2]);
    });
    expectPlainWords(problems);
  });

  test('no file of the folder is left out of the table', async () => {
    const scenarios = (await readdir(FOLDER)).filter((name) => /\.(yaml|ts|js|mjs|txt)$/.test(name));
    expect(BROKEN.map(([file]) => file).sort()).toEqual(scenarios.sort());
    expect(BROKEN.length).toBeGreaterThanOrEqual(50);
  });

  test('a file that is not there, and a directory in its place', async () => {
    expect(await problemsOf(join(FOLDER, 'nowhere.yaml'))).toEqual([{ path: '', message: 'there is no such file' }]);
    await inFolder(async (folder) => {
      const directory = join(folder, 'folder.yaml');
      await mkdir(directory);
      expect(await problemsOf(directory)).toEqual([{ path: '', message: 'this is a directory, expected a file' }]);
    });
  });
});

describe('a hostile scenario file costs a message, not the process', () => {
  const huge: readonly (readonly [name: string, text: string, message: string])[] = [
    ['more bytes than the limit', `name: ${'x'.repeat(SCENARIO_BYTES_MAX)}`, `at most ${String(SCENARIO_BYTES_MAX)} are read`],
    ['brackets within brackets', `scenarios: ${'['.repeat(100_000)}`, 'nested or indented too deeply'],
    ['mappings within mappings', 'a: {'.repeat(100_000), 'nested or indented too deeply'],
    ['indentation without end', Array.from({ length: 1_000 }, (_, i) => `${' '.repeat(i)}a:`).join('\n'), 'nested or indented too deeply'],
    ['list items on one line', '- '.repeat(10_000), 'nested or indented too deeply'],
    [
      'a hundred thousand keys',
      Array.from({ length: 100_000 }, (_, i) => `k${String(i)}: 1`).join('\n'),
      'missing: expected a mapping of names',
    ],
    [
      'vars that form a chain of thousands',
      `vars:\n${Array.from({ length: 5_000 }, (_, i) => `  v${String(i)}: "\${vars.v${String(i + 1)}}"`).join('\n')}\n`,
      'vars refer to each other more than 200 deep',
    ],
  ];
  test.each(huge)('%s', async (_, text, message) => {
    await inFolder(async (folder) => {
      const file = join(folder, 'hostile.yaml');
      await writeFile(file, text);
      const problems = await problemsOf(file);
      expect(problems.some((problem) => problem.message.includes(message))).toBe(true);
      expect(problems.length).toBeLessThanOrEqual(101);
      expectPlainWords(problems);
    });
  });

  test('a module that loops for ever is given up', async () => {
    await inFolder(async (folder) => {
      const file = join(folder, 'endless.ts');
      await writeFile(file, 'while (true) {}\nexport default {};\n');
      expect(await problemsOf(file)).toEqual([{ path: '', message: 'the module did not finish loading within 5 s' }]);
    });
  }, 30_000);
});

test('problems are shown one per line, with what they have of file, line and path', () => {
  const text = formatProblems('shop.yaml', [
    { path: 'scenarios.browse.rate', line: 5, message: 'expected a rate' },
    { path: '', message: 'the file is empty' },
    { path: '--rate', message: 'no scenario takes it' },
  ]);
  expect(text).toBe('shop.yaml:5: scenarios.browse.rate: expected a rate\nshop.yaml: the file is empty\n--rate: no scenario takes it');
});

async function problemsOf(file: string): Promise<readonly Problem[]> {
  const thrown: unknown = await loadScenario(file, { env: {} }).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(thrown).toBeInstanceOf(AppError);
  if (!(thrown instanceof AppError)) return [];
  expect(thrown.code).toBe('SCENARIO_INVALID');
  expect(thrown.exitCode).toBe(104);
  expect(thrown.problems.length).toBeGreaterThan(0);
  return thrown.problems;
}

function expectPlainWords(problems: readonly Problem[]): void {
  for (const { message } of problems) {
    expect(message).not.toMatch(
      /\n|\bat .*:\d+:\d+\)?$|node:internal|node_modules|zod|invalid_|Invalid input|unrecognized|refine|undefined/i,
    );
    expect(message.length).toBeLessThan(400);
  }
}

async function inFolder(act: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'muster-scenario-'));
  try {
    await act(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}
