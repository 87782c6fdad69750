/** The reference server in a process of its own, so that its work is not done by a loop that is measured. Steered over IPC, ends with its
 *  parent. */
import { systemClock } from '../../shared/base/index.ts';
import { ReferenceServer, type ReferenceLog } from './reference-server.ts';

export type ReferenceAnswer =
  | { readonly kind: 'listening'; readonly port: number }
  | { readonly kind: 'log'; readonly log: ReferenceLog }
  | { readonly kind: 'failed'; readonly reason: string };

const server = new ReferenceServer(systemClock);
process.on('message', () => {
  tell({ kind: 'log', log: server.takeLog() });
});
process.on('disconnect', () => void server.close());
// Ctrl-C reaches the whole process group; the parent ends what is under way first.
process.on('SIGINT', () => undefined);

try {
  tell({ kind: 'listening', port: await server.listen() });
} catch (thrown) {
  tell({ kind: 'failed', reason: String(thrown) });
}

function tell(answer: ReferenceAnswer): void {
  process.send?.(answer);
}
