import type { IncomingMessage, ServerResponse } from 'node:http';

const PRODUCTS = [
  { id: 1, name: 'brass lantern', price: 24.5 },
  { id: 2, name: 'oak stool', price: 61 },
  { id: 3, name: 'wool blanket', price: 48.9 },
  { id: 4, name: 'tin kettle', price: 19.95 },
  { id: 5, name: 'reading lamp', price: 37 },
];

/** A request to this API may send at most this much; more is answered with 413. */
const BODY_BYTES_MAX = 64 * 1024;

/** The small shop that the example scenarios load: a handler for `http.createServer`, with a cart counter of its own. */
export function createStorefront(): (request: IncomingMessage, response: ServerResponse) => void {
  let carts = 0;
  let tokens = 0;

  return (request, response) => {
    const path = new URL(request.url ?? '/', 'http://localhost').pathname;
    const route = `${request.method ?? ''} ${path}`;
    readBody(request, response, (body) => {
      const product = /^\/products\/(\d+)$/.exec(path);
      if (route === 'GET /') answer(response, 200, 'text/plain', 'hello');
      else if (route === 'GET /healthz') answer(response, 200, 'text/plain', 'ok');
      else if (route === 'GET /products') answerJson(response, 200, { items: PRODUCTS });
      else if (request.method === 'GET' && product !== null) answerProduct(response, Number(product[1]));
      else if (route === 'POST /cart') answerPosted(response, body, () => ({ id: ++carts }));
      else if (route === 'POST /login') answerLogin(response, body, () => ({ token: `token-${++tokens}` }));
      else answerJson(response, 404, { error: 'no such page' });
    });
  };
}

function readBody(request: IncomingMessage, response: ServerResponse, onBody: (body: string) => void): void {
  const chunks: Buffer[] = [];
  let bytes = 0;
  request.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes <= BODY_BYTES_MAX) chunks.push(chunk);
  });
  request.on('end', () => {
    if (bytes > BODY_BYTES_MAX) answerJson(response, 413, { error: 'too large' });
    else onBody(Buffer.concat(chunks).toString('utf8'));
  });
}

function answerProduct(response: ServerResponse, id: number): void {
  const product = PRODUCTS.find((candidate) => candidate.id === id);
  if (product === undefined) answerJson(response, 404, { error: 'no such product' });
  else answerJson(response, 200, product);
}

function answerPosted(response: ServerResponse, body: string, created: () => object): void {
  if (isJson(body)) answerJson(response, 201, created());
  else answerJson(response, 400, { error: 'the body is not JSON' });
}

/** Browsers send a form, programs JSON; any password will do. */
function answerLogin(response: ServerResponse, body: string, token: () => object): void {
  if (isJson(body) || new URLSearchParams(body).has('user')) answerJson(response, 200, token());
  else answerJson(response, 400, { error: 'expected a form with a user, or JSON' });
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch (error) {
    if (error instanceof SyntaxError) return false;
    throw error;
  }
}

function answerJson(response: ServerResponse, status: number, value: object): void {
  answer(response, status, 'application/json', JSON.stringify(value));
}

function answer(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) });
  response.end(body);
}
