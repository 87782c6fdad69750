/** For `node --import`: in that process whoever imports or requires one of the packages, by name or from where it lies, gets an error that says
 *  `refused by the guard`. */
export function importGuard(packages: readonly string[]): string {
  const names = packages.join('|');
  const patterns = `
    const NAMED = new RegExp('^(${names})(/|$)');
    const FOUND = new RegExp('/node_modules/(${names})/');
    const check = (text) => {
      if (NAMED.test(text) || FOUND.test(text)) throw new Error('refused by the guard: ' + text);
    };`;
  const hooks = `${patterns}
    export async function resolve(specifier, context, next) {
      check(specifier);
      const found = await next(specifier, context);
      check(found.url);
      return found;
    }`;
  return asModule(`${patterns}
    import Module, { register } from 'node:module';
    register(${JSON.stringify(asModule(hooks))});
    const load = Module._load;
    Module._load = function (request, ...rest) {
      check(request);
      return load.call(this, request, ...rest);
    };`);
}

function asModule(text: string): string {
  return `data:text/javascript,${encodeURIComponent(text)}`;
}
