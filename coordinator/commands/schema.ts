import { Command } from 'commander';
import { EXIT_CODES } from '../../shared/base/index.ts';
import { scenarioJsonSchema } from '../../shared/scenario/index.ts';
import type { Exit } from './command.ts';

/** `muster schema`: the JSON Schema of scenario files, for editors. */
export function schemaCommand(exit: Exit): Command {
  return new Command('schema').description('print the JSON Schema of YAML scenario files').action(() => {
    process.stdout.write(`${JSON.stringify(scenarioJsonSchema(), null, 2)}\n`);
    exit(EXIT_CODES.passed.code);
  });
}
