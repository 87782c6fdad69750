/** What the server of a rehearsal over TLS shows to the agent that started it, on loopback, for a second. Everybody may know the key: it protects
 *  nothing. Node.js can read certificates, but not make them. */
export const REHEARSAL_IDENTITY = {
  key: `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgZ9HIRHnrXvwE7koX
JuXSZjJsAOHz9EJunBT4VuJkJjehRANCAAQdpfsqJ9garhuR4f5g3Fnbnf0ovD9Z
zgPqcHp0ieLao/Ion7NRjQ03OU1yzVDGzGP5RWouro0W8jnR6MngUjvH
-----END PRIVATE KEY-----`,
  cert: `-----BEGIN CERTIFICATE-----
MIIBfzCCASWgAwIBAgIUHhXZIGWXzewY6E88m0rNvIITFOowCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJcmVoZWFyc2FsMCAXDTI2MTEyNjA3MTEwMloYDzIxMjYxMTAy
MDcxMTAyWjAUMRIwEAYDVQQDDAlyZWhlYXJzYWwwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAAQdpfsqJ9garhuR4f5g3Fnbnf0ovD9ZzgPqcHp0ieLao/Ion7NRjQ03
OU1yzVDGzGP5RWouro0W8jnR6MngUjvHo1MwUTAdBgNVHQ4EFgQUjAola2O5mH/I
maeWwPsamwWk/aIwHwYDVR0jBBgwFoAUjAola2O5mH/ImaeWwPsamwWk/aIwDwYD
VR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNIADBFAiEA72TqveUA6Wqp1ZGf9foK
QonxPufvPN8rP4i4NHHkXbYCIClQbKXQKQCPuCA7mIqBkVKRhr04KnAUPmNAKwUF
ux2q
-----END CERTIFICATE-----`,
};
