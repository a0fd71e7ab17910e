//! Who sits at the machine, for the audit log.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;

/// Name of the user that the process runs as, or `uid-<number>` where the machine does not keep
/// the name. It comes from the system: a variable of the environment can say anything.
pub fn name() -> io::Result<String> {
    let uid = fs::metadata("/proc/self")?.uid();
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    Ok(find(&users, uid).unwrap_or_else(|| format!("uid-{uid}")))
}

/// The name of `uid` in the text of `passwd(5)`.
fn find(users: &str, uid: u32) -> Option<String> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let number = fields.nth(1)?;
        (number.parse() == Ok(uid)).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_number() {
        let users = "root:x:0:0:root:/root:/bin/sh\n# no user\nada:x:1000:100::/home/ada:/bin/sh\n";
        assert_eq!(find(users, 1000).as_deref(), Some("ada"));
        assert_eq!(find(users, 0).as_deref(), Some("root"));
        assert_eq!(find(users, 100), None);
    }
}
