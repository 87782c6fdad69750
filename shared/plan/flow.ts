import type { HttpSettings } from './http.ts';

/** The compiled flow language. Plain JSON: it travels in the workload bundle and needs nothing but this file to be read. */

/** What the agents run: the same bytes for every agent of a run, addressed by their SHA-256. */
export interface Workload {
  readonly flows: Readonly<Record<string, Flow>>;
  /** What one agent runs once per run, before the start and after the load. */
  readonly setup?: Flow | undefined;
  readonly teardown?: Flow | undefined;
  readonly rows: Readonly<Record<string, RowSet>>;
  /** One ES module with its inline source map, when a flow is a function: its default export is the scenario definition. */
  readonly script: string | undefined;
  readonly env: Readonly<Record<string, string>>;
  /** Base URL for steps that give a path, without a trailing slash; empty when every step gives a whole URL. */
  readonly target: string;
  readonly http: HttpSettings;
  /** The files that steps upload, by the path that the steps give: contents in base64, or what they are known by when they are large. */
  readonly files: Readonly<Record<string, string | FileReference>>;
  /** For requests of functions; steps carry theirs already. */
  readonly defaults: { readonly timeoutMs: number; readonly headers: readonly (readonly [name: string, value: string])[] };
}

export type Flow = StepFlow | ScriptFlow;

export interface ScriptFlow {
  readonly kind: 'script';
  readonly scenario: string;
  /** How long its clean-up may take, where it has one. */
  readonly finallyLimitUs?: number;
}

export interface StepFlow {
  readonly kind: 'steps';
  readonly steps: readonly Step[];
  /** What every iteration does last, however it ended: clean-up, counted apart under the tag `phase: finally`. */
  readonly finally?: CleanUp;
  /** An iteration holds its VU at least this long; 0 for no pacing. */
  readonly pacingUs?: number;
}

export interface CleanUp {
  readonly steps: readonly Step[];
  /** Past this it is given up, so that it cannot hold up the end of a run. */
  readonly limitUs: number;
}
/** A file that travels beside the workload: its parts in order, each under its own SHA-256. */
export interface FileReference {
  readonly bytes: number;
  readonly parts: readonly string[];
}

/** Data rows. `unique` and `sequential` go by global iteration index, so no two agents share a row by chance. */
export interface RowSet {
  readonly order: 'unique' | 'sequential' | 'random';
  /** A scenario that uses the set ends when its rows are used up; otherwise rows come round again. */
  readonly endsScenario?: true;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

export type Step = RequestStep | ThinkStep | BlockStep;

export interface RequestStep {
  readonly kind: 'request';
  /** The series name: what the user gave, else method and path as written. */
  readonly name: string;
  readonly method: Method;
  /** Whole URL, target already joined. */
  readonly url: Template;
  /** In sending order, names as written; `host`, `content-length` and `connection` are added by the protocol unless given. */
  readonly headers: readonly (readonly [name: string, value: Template])[];
  readonly body: Template | undefined;
  /** Instead of `body`. */
  readonly upload: Upload | undefined;
  readonly timeoutMs: number;
  /** Redirects that it may follow, each a request of its own in the results. */
  readonly redirects: number;
  readonly auth: Auth | undefined;
  readonly checks: readonly Check[];
  readonly captures: readonly Capture[];
}

/** A body made of files of the workload. */
export type Upload =
  | { readonly kind: 'file'; readonly file: string }
  | { readonly kind: 'multipart'; readonly boundary: string; readonly parts: readonly UploadPart[] };

export interface UploadPart {
  /** Header lines of the part, blank line included. */
  readonly head: Template;
  readonly content: { readonly kind: 'text'; readonly text: Template } | { readonly kind: 'file'; readonly file: string };
}

/** Who asks. A bearer token is an ordinary header; these two are computed where the request is made. */
export interface Auth {
  readonly kind: 'basic' | 'digest';
  readonly user: Template;
  readonly password: Template;
}

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | 'HEAD' | 'OPTIONS';
export const METHODS: readonly Method[] = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS'];

export interface ThinkStep {
  readonly kind: 'think';
  readonly minUs: number;
  /** Equal to `minUs` for a fixed pause; else the pause is drawn uniformly between both. */
  readonly maxUs: number;
}

/** Steps that hold other steps. Agents flatten them into one program of instructions before the run. */
export type BlockStep = SpanStep | LoopStep | WhileStep | ForeachStep | IfStep | ChooseStep | ParallelStep | RetryStep | PollStep;

/** Both are measured from the instant the flow reached them; what is inside a group also carries its name as a tag. */
export interface SpanStep {
  readonly kind: 'group' | 'transaction';
  readonly name: string;
  readonly steps: readonly Step[];
}

/** No loop turns more often than this. */
export const LOOP_TURNS_MAX = 1_000_000;

export interface LoopStep {
  readonly kind: 'loop';
  /** Turns: known, or text that must come to a whole number from 0 to `LOOP_TURNS_MAX` when the flow gets there. */
  readonly times: number | Template;
  readonly pacingUs: number;
  readonly steps: readonly Step[];
}

/** Turns while the condition holds; past `limit` turns the iteration ends as failed. */
export interface WhileStep {
  readonly kind: 'while';
  readonly condition: Condition;
  readonly limit: number;
  readonly pacingUs: number;
  readonly steps: readonly Step[];
}

/** Once per member of a captured JSON list, with the member under the name `item`. */
export interface ForeachStep {
  readonly kind: 'foreach';
  readonly item: string;
  /** Name of the capture that holds the list. */
  readonly list: string;
  readonly pacingUs: number;
  readonly steps: readonly Step[];
}

export interface IfStep {
  readonly kind: 'if';
  readonly condition: Condition;
  readonly then: readonly Step[];
  readonly else: readonly Step[];
}

/** One of its branches, drawn by weight from the seed and the iteration: any number of agents draws the same. */
export interface ChooseStep {
  readonly kind: 'choose';
  readonly branches: readonly { readonly weight: number; readonly steps: readonly Step[] }[];
}

/** Requests sent at once, each on a connection of its own; the flow goes on when all have ended. */
export interface ParallelStep {
  readonly kind: 'parallel';
  readonly requests: readonly RequestStep[];
}

/** Runs its steps again while one of them fails. A failed step ends its try. Only the last try decides whether they failed. */
export interface RetryStep {
  readonly kind: 'retry';
  /** Tries after the first. */
  readonly times: number;
  readonly waitUs: number;
  /** Every wait is this many times the one before. */
  readonly backoff: number;
  readonly steps: readonly Step[];
}

/** Sends its request until the condition holds; its whole wait is one transaction. */
export interface PollStep {
  readonly kind: 'poll';
  readonly name: string;
  /** Pause between an answer and the next request. */
  readonly everyUs: number;
  /** No request is begun later than this after the flow reached the poll: the transaction then fails with `poll-limit`. */
  readonly limitUs: number;
  readonly until: Condition;
  readonly request: RequestStep;
}

/** Holds when all its terms do. A value that is not there fails every test but `absent` and `!=`. */
export type Condition = readonly ConditionTerm[];

export interface ConditionTerm {
  readonly subject:
    | CheckSubject
    | { readonly kind: 'value'; readonly value: Reference }
    | { readonly kind: 'constant'; readonly value: string | number | boolean };
  readonly test: CheckTest;
}

/** Literal text and references in order. A template without a reference is one literal part. */
export type Template = readonly TemplatePart[];
export type TemplatePart = string | Reference;

export interface Reference {
  readonly source: ReferenceSource;
  /** Captured name; for rows the data set's name; for `setup` the path into its result; empty for `vu` and `iteration`. */
  readonly name: string;
  /** Column of the row; empty for the other sources. */
  readonly field: string;
  /** How the value is written where it stands. `json` writes a JSON value (quotes and all), `json-string` the inside of a JSON string,
   *  `url` percent-encodes one URL component, `url-text` only what may not stand in a URL at all, `header` refuses line breaks,
   *  and `cookie` semicolons too. */
  readonly as: 'text' | 'json' | 'json-string' | 'url' | 'url-text' | 'header' | 'cookie';
}

export type ReferenceSource = 'capture' | 'row' | 'vu' | 'iteration' | 'setup';

export interface Check {
  /** Label in the `checks` metric, e.g. `status is 200`. */
  readonly name: string;
  readonly subject: CheckSubject;
  readonly test: CheckTest;
}

export type CheckSubject =
  | { readonly kind: 'status' }
  | { readonly kind: 'size' }
  | { readonly kind: 'body' }
  | { readonly kind: 'header'; readonly name: string }
  | { readonly kind: 'json'; readonly path: JsonPath };

export type CheckTest =
  | { readonly op: '==' | '!=' | '<' | '<=' | '>' | '>='; readonly value: string | number | boolean | null }
  | { readonly op: 'in'; readonly values: readonly (string | number)[] }
  | { readonly op: 'contains'; readonly text: string }
  | { readonly op: 'matches'; readonly pattern: string; readonly flags: string }
  | { readonly op: 'exists'; readonly wanted: boolean };

/** A capture that finds nothing leaves its name unset and marks the request with the error `capture`. */
export interface Capture {
  readonly name: string;
  readonly from:
    | { readonly kind: 'json'; readonly path: JsonPath }
    | { readonly kind: 'header'; readonly name: string }
    /** Group 1 when the pattern has a group, else the whole match. */
    | { readonly kind: 'regex'; readonly pattern: string; readonly flags: string };
}

/** `$.items[0].id` as `["items", 0, "id"]`. A final `"length"` also counts arrays and strings. Negative indices count from the end. */
export type JsonPath = readonly (string | number)[];
