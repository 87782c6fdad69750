/** For `node --import`: in that process an import of any of the packages throws, by name and by where it was found. What a package `require`s
 *  by itself is not seen. */
export function importGuard(packages: readonly string[]): string {
  const names = packages.join('|');
  const hooks = `
    const NAMED = new RegExp('^(${names})(/|$)');
    const FOUND = new RegExp('/node_modules/(${names})/');
    export async function resolve(specifier, context, next) {
      if (NAMED.test(specifier)) throw new Error('refused by the guard: ' + specifier);
      const found = await next(specifier, context);
      if (FOUND.test(found.url)) throw new Error('refused by the guard: ' + found.url);
      return found;
    }`;
  return asModule(`import { register } from 'node:module'; register(${JSON.stringify(asModule(hooks))});`);
}

function asModule(text: string): string {
  return `data:text/javascript,${encodeURIComponent(text)}`;
}
