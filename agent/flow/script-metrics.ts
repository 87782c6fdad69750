import { didYouMean } from '../../shared/base/index.ts';
import type { Metrics, MetricTags } from '../../shared/scenario/index.ts';
import type { CustomMetrics } from '../custom-metrics.ts';
import { CLEAN_UP_TAGS } from '../../shared/stats/index.ts';
import type { Surroundings } from './actor.ts';
import type { Phase } from './script-context.ts';

type Kind = 'counter' | 'gauge' | 'rate' | 'trend';

/** `vu.metrics`: records what the author measures, and refuses what cannot be a measurement. Each refusal is a `TypeError` that the
 *  author's own line throws. */
export function scriptMetrics(
  metrics: CustomMetrics,
  around: Pick<Surroundings, 'clock' | 'beforeSample'>,
  phase: Phase = 'flow',
): Metrics {
  const checkTags = (kind: Kind, name: string, tags: MetricTags | undefined): MetricTags =>
    phase === 'finally' ? { ...readTags(kind, name, tags), ...CLEAN_UP_TAGS } : readTags(kind, name, tags);
  const now = (): number => {
    const nowUs = around.clock.nowUs();
    around.beforeSample(nowUs);
    return nowUs;
  };
  const declared = (kind: Kind, name: string): string => {
    const { definitions } = metrics;
    const definition = Object.hasOwn(definitions, name) ? definitions[name] : undefined;
    if (definition === undefined) {
      const hint = didYouMean(name, Object.keys(definitions)) || `; the scenario file declares them under metrics`;
      throw new TypeError(`metrics.${kind}("${name}"): there is no such metric${hint}`);
    }
    if (definition.kind !== kind) throw new TypeError(`metrics.${kind}("${name}"): it is declared as a ${definition.kind}`);
    return name;
  };
  return {
    counter(name) {
      declared('counter', name);
      return {
        add: (count, tags) => {
          if (!Number.isSafeInteger(count) || count < 0) throw refusal('counter', name, 'a whole number from 0', count);
          const checked = checkTags('counter', name, tags);
          metrics.count(name, count, checked, now());
        },
      };
    },
    gauge(name) {
      declared('gauge', name);
      return {
        set: (value, tags) => {
          mustBeMeasure('gauge', name, value);
          metrics.gauge(name, value, checkTags('gauge', name, tags), now());
        },
      };
    },
    rate(name) {
      declared('rate', name);
      return {
        add: (holds, tags) => {
          if (typeof holds !== 'boolean') throw refusal('rate', name, 'true or false', holds);
          const checked = checkTags('rate', name, tags);
          metrics.rate(name, holds, checked, now());
        },
      };
    },
    trend(name) {
      declared('trend', name);
      return {
        add: (value, tags) => {
          mustBeMeasure('trend', name, value);
          const checked = checkTags('trend', name, tags);
          metrics.trend(name, value, checked, now());
        },
      };
    },
  };
}

/** A histogram would take NaN for a sample, and floor what is below nothing. */
function mustBeMeasure(kind: Kind, name: string, value: number): void {
  if (!Number.isFinite(value) || value < 0) throw refusal(kind, name, 'a number from 0', value);
}

function readTags(kind: Kind, name: string, tags: MetricTags | undefined): MetricTags {
  if (tags === undefined) return NO_TAGS;
  for (const [tag, value] of Object.entries(tags)) {
    if (tag === 'scenario') throw new TypeError(`metrics.${kind}("${name}"): the tag "scenario" is given by the run`);
    if (typeof value !== 'string') throw refusal(kind, name, `text as the tag "${tag}"`, value);
  }
  return tags;
}

function refusal(kind: Kind, name: string, what: string, got: unknown): TypeError {
  return new TypeError(`metrics.${kind}("${name}"): expected ${what}, got ${typeof got === 'string' ? JSON.stringify(got) : String(got)}`);
}

const NO_TAGS: MetricTags = {};
