/** Bounds that more than one room must agree on. What happens at each is said beside it. */

/** Series of one run; past it samples go to `name: (other)` and the result says so. */
export const SERIES_MAX = 500;
/** A response body kept for checks and captures; a longer one ends the request with `body-too-large`. */
export const BODY_BYTES_MAX = 8 * 1024 * 1024;
/** Response head (status line and headers); a longer one ends the request with `protocol`. */
export const HEAD_BYTES_MAX = 64 * 1024;
/** A scenario file; a longer one is refused before it is parsed. */
export const SCENARIO_BYTES_MAX = 4 * 1024 * 1024;
/** The workload bundle (flows, script, data rows) that travels to the agents; a larger one is refused. */
export const WORKLOAD_BYTES_MAX = 64 * 1024 * 1024;
/** A file to be uploaded that is longer travels beside the workload, in parts of this length, and is streamed from disk by the agents. */
export const FILE_PART_BYTES = 8 * 1024 * 1024;
/** All files of a scenario together; more are refused. */
export const FILES_BYTES_MAX = 4 * 1024 * 1024 * 1024;
/** One gRPC message: a submission with its workload is the largest. */
export const GRPC_MESSAGE_BYTES_MAX = WORKLOAD_BYTES_MAX + 4 * 1024 * 1024;
/** What a run's setup returns, as JSON; more is refused: every agent is given it, and every VU holds on to it. */
export const SETUP_BYTES_MAX = 1024 * 1024;
/** VUs of one scenario. */
export const VUS_MAX = 1_000_000;
/** Iterations of one scenario's schedule. Beyond 2^53 an index would no longer be exact. */
export const ITERATIONS_MAX = 1e12;
/** Ids of agents: what may stand in a subject of NATS and in a file name. */
export const ID_PATTERN = /^[A-Za-z0-9_-]{1,64}$/;
