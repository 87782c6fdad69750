import { ResponseReader } from '../../agent/protocol/http1/reader.ts';
import { BODY_BYTES_MAX, HEAD_BYTES_MAX } from '../../shared/base/index.ts';
import type { Outcome } from './http1-differential.ts';
import type { ServedExchange } from './http1-exchanges.ts';

interface IntendedDifference {
  readonly name: string;
  readonly why: string;
  fits(message: string, ours: Outcome, nodes: Outcome, exchange: ServedExchange): boolean;
}

/** Where our client and Node's are meant to differ, and why. Whatever is not in this list is a bug of one of them. */
export const INTENDED_DIFFERENCES: readonly IntendedDifference[] = [
  {
    name: 'bytes behind the end',
    why: 'The response was whole before they came, so it counts; its connection is not used again. Node parses them as the next response.',
    fits: (message, ours, nodes, { method }) =>
      ours.kind === 'response' && nodes.kind === 'illegal' && endOf(message, method === 'HEAD') < message.length,
  },
  {
    name: 'switched protocols',
    why: 'We never ask for another protocol, so 101 is illegal. Node hands the connection over, or closes it when nobody takes it.',
    fits: (message, ours) => ours.kind === 'illegal' && /^HTTP\/1\.[01] 101/m.test(message),
  },
  {
    name: 'status below 100',
    why: 'No such status exists (RFC 9110, 15), and 0 means "no response" in the results. Node takes any three digits.',
    fits: (message, ours) => ours.kind === 'illegal' && /^HTTP\/1\.[01] 0\d\d/m.test(message),
  },
  {
    name: 'content-length said twice',
    why: 'Equal ones, and one beside chunks (RFC 9112, 6.3), leave no doubt where the body ends; the connection is not used again after the latter. Node refuses both.',
    fits: (message, ours, nodes) => ours.kind !== 'illegal' && UNWANTED_LENGTH.has(detailOf(nodes)) && framings(message).length > 1,
  },
  {
    name: 'transfer coding not asked for',
    why: 'We send no TE field, so anything but one "chunked" is illegal. Node reads what it does not know until the connection closes.',
    fits: (message, ours) => ours.kind === 'illegal' && hasOtherCoding(message),
  },
  {
    name: 'tab behind a framing value',
    why: 'Blanks around a value are spaces and tabs (RFC 9110, 5.5). Node takes a tab there for a part of the number, or of an unknown coding.',
    fits: (message, ours) => ours.kind !== 'illegal' && framings(message).some((value) => /[^ \t][ \t]*\t[ \t]*$/.test(value)),
  },
  {
    name: 'carriage return instead of a line feed',
    why: 'A status line ends in CR LF. Node takes CR CR as well.',
    fits: (message, ours) => ours.kind === 'illegal' && /^HTTP\/1\.[01] \d{3}[^\r\n]*\r\r/m.test(message),
  },
  {
    name: 'informational response that says close',
    why: 'Only the final response tells what becomes of the connection. Node takes the word, or the version, of an informational one for it.',
    fits: (message, ours, nodes) =>
      ours.kind !== 'illegal' && detailOf(nodes) === 'HPE_CLOSED_CONNECTION' && /^HTTP\/1\.[01] 1\d\d/m.test(message),
  },
  {
    name: 'body larger than is kept',
    why: 'A kept body is bounded, and a length beyond the bound is refused when it is announced. Node waits for the bytes.',
    fits: (_, ours) => detailOf(ours) === 'body-too-large',
  },
  {
    name: 'chunk extension without its name or value',
    why: '";;" and "name=;" are illegal (RFC 9112, 7.1.1). Node takes them here and there.',
    fits: (message, ours) => ours.kind === 'illegal' && /^[0-9a-f]+;.*(?:;;|=;|=\r)/im.test(message),
  },
];

const UNWANTED_LENGTH: ReadonlySet<string> = new Set([
  'HPE_UNEXPECTED_CONTENT_LENGTH',
  'HPE_INVALID_CONTENT_LENGTH',
  'HPE_INVALID_TRANSFER_ENCODING',
]);

/** The name of the intended difference that explains these two outcomes, if one does. */
export function intendedDifference(exchange: ServedExchange, ours: Outcome, nodes: Outcome): string | undefined {
  return INTENDED_DIFFERENCES.find((one) => one.fits(exchange.message, ours, nodes, exchange))?.name;
}

function detailOf(outcome: Outcome): string {
  return outcome.kind === 'response' ? '' : outcome.detail;
}

function endOf(message: string, isHead: boolean): number {
  const reader = new ResponseReader({ headBytesMax: HEAD_BYTES_MAX, bodyBytesMax: BODY_BYTES_MAX });
  reader.begin(isHead, false, false);
  return reader.read(Buffer.from(message, 'latin1'), 0, message.length);
}

/** Values of all fields that frame messages, in heads and trailers, blanks included. */
function framings(message: string): string[] {
  return [...message.matchAll(/^(?:content-length|transfer-encoding):(.*?)\r$/gim)].map(([, value]) => value ?? '');
}

function hasOtherCoding(message: string): boolean {
  const codings = [...message.matchAll(/^transfer-encoding:[ \t]*(.*?)[ \t]*\r$/gim)].map(([, coding]) => coding?.toLowerCase());
  return codings.length > 1 || codings.some((coding) => coding !== 'chunked');
}
