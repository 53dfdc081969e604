"""What is said when people sign in: of passwords, the second factor and sessions."""

from ravada_web.messages.marks import N_, Plural, Template

TEXTS: dict[str, Template] = {
    "sign_in.too_many_attempts": N_("Too many failed attempts. Try again in %(wait_seconds)s."),
    "sign_in.failed_attempts": N_("Failed sign-in attempts since %(since_at)s: %(count)s"),
    # Passwords
    "sign_in.password_too_short": Plural("Use at least %(count)s character.", "Use at least %(count)s characters."),
    "sign_in.not_current_password": N_("Wrong current password."),
    "sign_in.same_password": N_("Choose a password different from the current one."),
    "sign_in.wrong_password": N_("Wrong password."),
    # The second factor
    "sign_in.has_second_factor": N_("You already have a second factor. Disable it first to set up another one."),
    "sign_in.wrong_code": N_("That code is not valid. Check your device’s clock."),
    "sign_in.codes_left": Plural("%(count)s code left", "%(count)s codes left"),
    "sign_in.no_second_factor": N_("You have no second factor."),
    "sign_in.second_factor_demanded": N_(
        "Your role requires a second factor. To replace it, ask an administrator to reset it."
    ),
    # Sessions
    "sign_in.no_session": N_("Session not found."),
    "sign_in.oldest_ended": Plural(
        "%(count)s session, the one not used for longest", "%(count)s sessions, those not used for longest"
    ),
    "sign_in.sessions_ended": Plural("%(count)s session", "%(count)s sessions"),
}
