/** A target in a process of its own, so that its work is not done by the event loop under test. Steered over IPC, ends with its parent. */
import { Target, type Behaviour, type TargetLog, type TargetOptions } from './target.ts';

export type TargetCommand =
  | { readonly kind: 'start'; readonly options: TargetOptions }
  | { readonly kind: 'behave'; readonly path: string; readonly behaviour: Behaviour }
  | { readonly kind: 'freeze'; readonly fromUs: number; readonly toUs: number }
  | { readonly kind: 'freeze-after-first'; readonly afterUs: number; readonly forUs: number }
  | { readonly kind: 'log' }
  | { readonly kind: 'total' }
  | { readonly kind: 'reset' };

/** Every command is answered once, in order. */
export type TargetAnswer =
  | { readonly kind: 'port'; readonly port: number }
  | { readonly kind: 'log'; readonly log: TargetLog }
  | { readonly kind: 'total'; readonly total: number }
  | { readonly kind: 'done' }
  | { readonly kind: 'failed'; readonly reason: string };

let target: Target | undefined;

process.on('message', (command: TargetCommand) => {
  void obey(command)
    .catch((error: unknown): TargetAnswer => ({ kind: 'failed', reason: String(error) }))
    .then((answer) => process.send?.(answer));
});
process.on('disconnect', () => process.exit(0));

async function obey(command: TargetCommand): Promise<TargetAnswer> {
  if (command.kind === 'start') {
    target = await Target.start(command.options);
    return { kind: 'port', port: target.port };
  }
  if (target === undefined) throw new Error('not started');
  switch (command.kind) {
    case 'behave':
      target.behave(command.path, command.behaviour);
      return { kind: 'done' };
    case 'freeze':
      target.freeze(command.fromUs, command.toUs);
      return { kind: 'done' };
    case 'freeze-after-first':
      target.freezeAfterFirst(command.afterUs, command.forUs);
      return { kind: 'done' };
    case 'log':
      return { kind: 'log', log: target.log() };
    case 'total':
      return { kind: 'total', total: target.total };
    case 'reset':
      target.reset();
      return { kind: 'done' };
  }
}
