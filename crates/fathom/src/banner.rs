//! What a person sees when `fathom up` is ready.

use std::io::{self, Write};
use std::path::Path;

use fathom_auth::demo::DemoCredentials;
use secrecy::ExposeSecret;

/// Prints the address, the demo credentials and a command to try.
///
/// # Errors
/// The system's, when nobody reads standard output.
pub fn print(demo: &DemoCredentials, file: &Path) -> io::Result<()> {
    let base = &demo.base_url;
    let key = demo.api_key.expose_secret();
    let text = format!(
        r#"
Fathom is ready.

  base URL        {base}/v1
  API key         {key}
  client id       {id}
  client secret   {secret}
  all of these    {file}

Try it:

curl {base}/v1/chat/completions \
  -H 'Authorization: Bearer {key}' \
  -H 'Content-Type: application/json' \
  -d '{{"model": "deepseek-chat", "temperature": 0, "messages": [{{"role": "user", "content": "Tell me in one sentence what a lighthouse is for."}}]}}'

"#,
        id = demo.client_id,
        secret = demo.client_secret.expose_secret(),
        file = file.display(),
    );
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
