import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

type CollectGarbage = (options: { readonly type: 'minor' }) => void;

let collect: CollectGarbage | undefined;

/** Moves what is young on the heap and still in use out of the way, in some 10 ms. What was made for a run and is kept for all of it (VUs,
 *  compiled flows) would otherwise be moved by the first two collections under load, 5 ms each, while arrivals wait. A full collection
 *  would do harm: it throws away compiled code that the rehearsal was for. */
export function settleHeap(): void {
  if (collect === undefined) {
    setFlagsFromString('--expose-gc');
    collect = runInNewContext('gc') as CollectGarbage;
  }
  // The first one moves what survives to the other half of the young generation, the second one out of it.
  collect({ type: 'minor' });
  collect({ type: 'minor' });
}

/** Compiled code stays for the life of the process: an agent that waited for its next run a while would compile under load. */
export function keepCompiledCode(): void {
  setFlagsFromString('--no-flush-bytecode');
}
