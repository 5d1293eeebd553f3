//! Who the process is: giving up root for good.
//! Absent: when; what has to be opened before is the caller's to know.

use std::io;

use nix::unistd::{Gid, Group, Uid, User, geteuid, getgroups, getresgid, getresuid};
use nix::unistd::{setgid, setgroups, setresgid, setresuid, setuid};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, clear_ambient_capability_set, set_capabilities,
    set_no_new_privs,
};
use tracing::{debug, warn};

use crate::diagnostic::quoted;
use crate::error::{Error, Result, Status};

/// Whom to become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    user: Option<Uid>,
    group: Option<Gid>,
}

impl Identity {
    /// Looks up names, or takes numbers. A user brings its primary group, unless there is another one. `None`: neither
    /// is given.
    ///
    /// # Errors
    /// Status 2: nobody has that name, or a number has no primary group that could be found.
    pub fn find(user: Option<&str>, group: Option<&str>) -> Result<Option<Self>> {
        let group = group.map(find_group).transpose()?;
        let Some(name) = user else {
            return Ok(group.map(|group| Identity {
                user: None,
                group: Some(group),
            }));
        };
        let (user, primary) = find_user(name)?;
        let Some(group) = group.or(primary) else {
            let why = "no user has that number, so that it has no group either";
            return Err(Error::new(Status::Usage, why)
                .on(format!("could not use --user {}", quoted(name)))
                .help("name a group with --group"));
        };
        Ok(Some(Identity {
            user: Some(user),
            group: Some(group),
        }))
    }

    /// Whose a file of its own is.
    #[cfg(feature = "cli")]
    pub(super) fn owner(self) -> (Option<rustix::process::Uid>, Option<rustix::process::Gid>) {
        (
            self.user
                .map(|user| rustix::process::Uid::from_raw(user.as_raw())),
            self.group
                .map(|group| rustix::process::Gid::from_raw(group.as_raw())),
        )
    }

    /// Becomes it for good: supplementary groups, group, user, capabilities, in this order, as each step needs what the
    /// later ones give up. Then looks whether root can be had back, and sees to it that no program that is run can.
    ///
    /// # Errors
    /// Status 1: the system refuses, or root could be had back.
    pub fn shed(self) -> Result<()> {
        if self.is_already()? {
            // Only root may give up groups. Capabilities anybody may, and a service manager may have given some.
            give_up_capabilities()?;
            for_good(root_is_gone(self.group))?;
            debug!("runs as {} already", self.said());
        } else {
            self.become_it()?;
            self.is_for_good()?;
            debug!("runs as {} without supplementary groups", self.said());
        }
        if geteuid().is_root() {
            warn!("the server still runs as root; --user names somebody else");
        }
        no_new_privileges()
    }

    /// Becomes it for as long as `look` takes, and then again who this was: what it may not is known before root is
    /// given up, and with it the right to remove what was made. There must not be other threads yet.
    ///
    /// # Errors
    /// Status 1: what `look` says, or the system.
    pub fn try_on<T>(self, look: impl FnOnce() -> Result<T>) -> Result<T> {
        if self.is_already()? {
            return look();
        }
        let failed = |error: nix::Error| {
            Error::io(Status::Failure, &error.into())
                .on("could not see what the server may do as somebody else")
        };
        let seen = || -> nix::Result<_> { Ok((getresuid()?, getresgid()?, getgroups()?)) };
        let (user, group, groups) = seen().map_err(failed)?;
        // The saved numbers stay, by which there is a way back. Real ones are what access(2) asks for.
        let become_it = || -> Result<()> {
            setgroups(&[]).map_err(not_changed("the supplementary groups"))?;
            if let Some(group) = self.group {
                setresgid(group, group, SAME_GROUP).map_err(not_changed("the group"))?;
            }
            match self.user {
                Some(user) => setresuid(user, user, SAME_USER).map_err(not_changed("the user")),
                None => Ok(()),
            }
        };
        let looked = become_it().and_then(|()| look());
        let back = setresuid(user.real, user.effective, SAME_USER)
            .and_then(|()| setresgid(group.real, group.effective, SAME_GROUP));
        // Who may not change the groups has not.
        let back = back.and_then(|()| {
            if getgroups()? == groups {
                Ok(())
            } else {
                setgroups(&groups)
            }
        });
        let looked = looked?;
        back.map_err(failed)?;
        Ok(looked)
    }

    /// Where this asks for what one who is not root is already.
    fn is_already(self) -> Result<bool> {
        let seen = || -> io::Result<bool> {
            let (user, group) = (getresuid()?, getresgid()?);
            Ok(!geteuid().is_root()
                && self
                    .user
                    .is_none_or(|wanted| [user.real, user.effective, user.saved] == [wanted; 3])
                && self
                    .group
                    .is_none_or(|wanted| [group.real, group.effective, group.saved] == [wanted; 3]))
        };
        seen().map_err(|error| Error::io(Status::Failure, &error).on("could not see who this is"))
    }

    fn become_it(self) -> Result<()> {
        setgroups(&[]).map_err(not_changed("the supplementary groups"))?;
        if let Some(group) = self.group {
            setresgid(group, group, group).map_err(not_changed("the group"))?;
        }
        let Some(user) = self.user else { return Ok(()) };
        setresuid(user, user, user).map_err(not_changed("the user"))?;
        if user.is_root() {
            return Ok(());
        }
        give_up_capabilities()
    }

    /// That nothing of what was is left, and that root cannot be had back.
    fn is_for_good(self) -> Result<()> {
        for_good(self.left())
    }

    fn left(self) -> io::Result<Option<&'static str>> {
        if !getgroups()?.is_empty() {
            return Ok(Some("there are supplementary groups"));
        }
        if let Some(group) = self.group {
            let now = getresgid()?;
            if [now.real, now.effective, now.saved] != [group; 3] {
                return Ok(Some("the group is another one"));
            }
        }
        let Some(user) = self.user else { return Ok(None) };
        let now = getresuid()?;
        if [now.real, now.effective, now.saved] != [user; 3] {
            return Ok(Some("the user is another one"));
        }
        if user.is_root() {
            return Ok(None);
        }
        root_is_gone(self.group)
    }

    fn said(self) -> String {
        let user = self
            .user
            .map_or_else(|| "the same user".into(), |user| format!("user {user}"));
        self.group
            .map_or(user.clone(), |group| format!("{user}, group {group}"))
    }
}

/// What leaves a number as it is, to setresuid(2) and setresgid(2).
const SAME_USER: Uid = Uid::from_raw(u32::MAX);
const SAME_GROUP: Gid = Gid::from_raw(u32::MAX);

fn not_changed(what: &'static str) -> impl FnOnce(nix::Error) -> Error {
    move |error| {
        let error = Error::io(Status::Failure, &error.into()).on(format!("could not change {what}"));
        if geteuid().is_root() {
            error
        } else {
            error.help("only root can become another user or group")
        }
    }
}

/// No program that is run from here on gets what we do not have, whatever its file says.
///
/// # Errors
/// Status 1: the system refuses.
pub fn no_new_privileges() -> Result<()> {
    set_no_new_privs(true)
        .map_err(|error| Error::io(Status::Failure, &error.into()).on("could not set no_new_privs"))
}

fn find_user(name: &str) -> Result<(Uid, Option<Gid>)> {
    let refused =
        |why: String| Error::new(Status::Usage, why).on(format!("could not use --user {}", quoted(name)));
    let failed = |error: nix::Error| refused(crate::error::reason(&error.into()));
    if let Some(number) = number(name) {
        let known = User::from_uid(Uid::from_raw(number)).map_err(failed)?;
        return Ok((Uid::from_raw(number), known.map(|user| user.gid)));
    }
    match User::from_name(name).map_err(failed)? {
        Some(user) => Ok((user.uid, Some(user.gid))),
        None => Err(refused("there is no such user".into())),
    }
}

fn find_group(name: &str) -> Result<Gid> {
    let refused =
        |why: String| Error::new(Status::Usage, why).on(format!("could not use --group {}", quoted(name)));
    if let Some(number) = number(name) {
        return Ok(Gid::from_raw(number));
    }
    match Group::from_name(name).map_err(|error| refused(crate::error::reason(&error.into())))? {
        Some(group) => Ok(group.gid),
        None => Err(refused("there is no such group".into())),
    }
}

/// A user or a group by its number; the highest one means "leave it as it is" to the system, and so nobody.
fn number(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|number| digits && *number != u32::MAX)
}

/// The kernel takes them with the last of root's numbers, unless it was told to leave them.
fn give_up_capabilities() -> Result<()> {
    let none = CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    clear_ambient_capability_set()
        .and_then(|()| set_capabilities(None, none))
        .map_err(|error| Error::io(Status::Failure, &error.into()).on("could not give up capabilities"))
}

/// What is left of privileges, if anything, as an error.
fn for_good(left: io::Result<Option<&'static str>>) -> Result<()> {
    let left = left.map_err(|error| {
        Error::io(Status::Failure, &error).on("could not see whether privileges were shed")
    })?;
    match left {
        None => Ok(()),
        Some(left) => Err(Error::new(Status::Failure, left).on("privileges were not shed for good")),
    }
}

/// What is left to one who is not root; `group` may be root's, if it was asked for.
fn root_is_gone(group: Option<Gid>) -> io::Result<Option<&'static str>> {
    let held = capabilities(None)?;
    if !(held.effective | held.permitted | held.inheritable).is_empty() {
        return Ok(Some("capabilities are left"));
    }
    let root = Uid::from_raw(0);
    if setuid(root).is_ok() || setresuid(root, root, root).is_ok() {
        return Ok(Some("root can be had back"));
    }
    let root = Gid::from_raw(0);
    if group != Some(root) && (setgid(root).is_ok() || setgroups(&[root]).is_ok()) {
        return Ok(Some("the group of root can be had back"));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_found() {
        let root = Identity::find(Some("root"), None).unwrap().unwrap();
        assert_eq!(root, Identity::find(Some("0"), None).unwrap().unwrap());
        assert_eq!(
            root,
            Identity {
                user: Some(Uid::from_raw(0)),
                group: Some(Gid::from_raw(0))
            }
        );
        let other = Identity::find(Some("root"), Some("7")).unwrap().unwrap();
        assert_eq!(other.group, Some(Gid::from_raw(7)));
        let group = Identity::find(None, Some("7")).unwrap().unwrap();
        assert_eq!(group.user, None);
        assert_eq!(Identity::find(None, None).unwrap(), None);
        let number = Identity::find(Some("3999999998"), Some("3999999998"))
            .unwrap()
            .unwrap();
        assert_eq!(number.user, Some(Uid::from_raw(3_999_999_998)));
    }

    #[test]
    fn nobody_by_that_name_is_a_usage_error() {
        for (user, group, text) in [
            (
                Some("no-such-user"),
                None,
                "could not use --user `no-such-user`: there is no such user",
            ),
            (
                None,
                Some("no-such-group"),
                "could not use --group `no-such-group`: there is no such group",
            ),
            (
                Some("4294967295"),
                None,
                "could not use --user `4294967295`: there is no such user",
            ),
            (
                Some("-1"),
                None,
                "could not use --user `-1`: there is no such user",
            ),
            (Some(""), None, "could not use --user ``: there is no such user"),
            (
                Some("3999999998"),
                None,
                "could not use --user `3999999998`: no user has that number, so that it has no group either",
            ),
        ] {
            let error = Identity::find(user, group).unwrap_err();
            assert_eq!(error.status(), Status::Usage);
            assert_eq!(error.to_string(), text);
        }
    }
}
