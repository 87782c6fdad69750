import type { Auth } from '../../shared/plan/index.ts';
import { readyTemplate, type ReadyTemplate, type TemplateSources } from './template.ts';

/** The `authorization` of basic authentication (RFC 7617), user and password filled in. */
export function basicAuthorization(auth: Auth, sources: TemplateSources): ReadyTemplate {
  const { user, password } = readyCredentials(auth, sources);
  const write = (userName: string, secret: string): string => `Basic ${Buffer.from(`${userName}:${secret}`, 'utf8').toString('base64')}`;
  return {
    constant: user.constant === undefined || password.constant === undefined ? undefined : write(user.constant, password.constant),
    render: (values) => write(user.render(values), password.render(values)),
  };
}

/** Credentials for digest challenges. */
export interface ReadyDigest {
  readonly user: ReadyTemplate;
  readonly password: ReadyTemplate;
}

export function readyDigest(auth: Auth, sources: TemplateSources): ReadyDigest {
  return readyCredentials(auth, sources);
}

function readyCredentials({ user, password }: Auth, sources: TemplateSources): ReadyDigest {
  return { user: readyTemplate(user, sources), password: readyTemplate(password, sources) };
}
