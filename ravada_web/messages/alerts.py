"""What is said of alerts, and how they are sent."""

from ravada_web.messages.marks import N_, Plural, Template

TEXTS: dict[str, Template] = {
    # Why there is one
    "alerts.pool_unknown": N_("The free space of pool %(pool)s is not known, which counts as full."),
    "alerts.pool_full": N_("Pool %(pool)s is %(used_percent)s full: %(free_mib)s free."),
    # What is sent: its place, its state, the subject and the line
    "alerts.node": N_("Node %(node)s"),
    "alerts.pool": N_("Pool %(pool)s on node %(node)s"),
    "alerts.cluster": N_("Cluster"),
    "alerts.state_unknown": N_("unknown"),
    "alerts.state_degraded": N_("degraded"),
    "alerts.state_maintenance": N_("in maintenance for longer than planned"),
    "alerts.state_down": N_("down"),
    "alerts.state_quarantined": N_("quarantined"),
    "alerts.state_warning": N_("warning"),
    "alerts.state_critical": N_("critical"),
    "alerts.state_short": N_("too little room for the loss of one node"),
    "alerts.state_recovered": N_("recovered"),
    "alerts.subject": N_("%(place)s: %(state)s"),
    "alerts.subject_many": N_("Problems: %(bad)s, recovered: %(recovered)s"),
    "alerts.began": N_("%(place)s: %(state)s since %(since_at)s. %(why)s"),
    "alerts.recovered": N_("%(place)s: recovered at %(since_at)s (was: %(before)s)."),
    "alerts.many_began": N_("Nodes %(nodes)s: %(state)s since %(since_at)s."),
    "alerts.many_recovered": N_("Nodes %(nodes)s: recovered (were: %(before)s)."),
    "alerts.flapped": Plural(
        "The state changed %(count)s time in the meantime.", "The state changed %(count)s times in the meantime."
    ),
    # What is sent about the server itself
    "alerts.server": N_("Server %(host)s"),
    "alerts.process_still": N_("Server %(host)s: “%(process)s” is not responding. It is restarted automatically."),
    "alerts.disk_full": N_("Server %(host)s: the disk of the data folder is %(used_percent)s full, %(free_mib)s free."),
    "alerts.over": N_("Over: %(before)s"),
    # The test message
    "alerts.send_test": N_("Send test message to administrators"),
    "alerts.no_channel": N_(
        "No notifications configured. Set RAVADA_SMTP_HOST and RAVADA_MAIL_TO for email, or RAVADA_ALERT_WEBHOOK_URL "
        "for a webhook."
    ),
    "alerts.test": N_("Test message"),
    "alerts.test_line": N_("Node alerts will look like this."),
    "alerts.test_failed": N_("The test message was not sent by %(channels_clauses)s"),
    "alerts.channel_failed": N_("%(channel)s: %(why)s"),
    # Why a channel did not take a message
    "alerts.mail_refused": N_("%(server)s did not accept the message: %(said)s"),
    "alerts.webhook_refused": N_("the webhook answered with status %(status)s"),
}
