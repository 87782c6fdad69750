/** What holds when neither flag, environment nor file says otherwise. The container files are tested against these. */
export const DEFAULTS = {
  /** Where the coordinator listens for agents and commands. Loopback: other machines are let in on purpose only. */
  controlHost: '127.0.0.1',
  controlPort: 7700,
  natsUrl: 'nats://127.0.0.1:4222',
  /** How long a run waits for results after its load has ended. */
  drainTimeout: '20s',
} as const;
