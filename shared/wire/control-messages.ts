import type { JoinRequest, JoinResponse } from '../../proto/gen/muster/v1/control.ts';

/** Messages of the control plane, for those who decide about them; only the two ends of the stream touch gRPC itself. */
export type {
  Assign,
  Chore,
  ChoreDone,
  Finished,
  Hello,
  MachineRate,
  NewEpoch,
  Progress,
  SubmitRequest,
  Threshold as WireThreshold,
} from '../../proto/gen/muster/v1/control.ts';

/** What an agent says. */
export type AgentMessage = NonNullable<JoinRequest['kind']>;
/** What the coordinator says. */
export type CoordinatorMessage = NonNullable<JoinResponse['kind']>;
