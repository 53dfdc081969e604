"""What a form takes for a node's address and user is what SSH takes, with the reason beside the field."""

import pytest
from flask import Flask

from ravada_web.remote.target import Target
from ravada_web.services.nodes.validation import invalid_place

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPjsX/dqn2nkd9UrJbrGwiJ6t4v/sDvKM8Z9WMpGuIxO"


@pytest.mark.parametrize(
    ("address", "user"),
    [("kvm_node1", "root"), ("kvm1.example.org.", "j.smith"), ("fe80::1%eth0", "AD\\jane"), ("fd00::1", "Jane")],
)
def test_what_ssh_takes_is_taken_by_both(app: Flask, address: str, user: str) -> None:
    assert invalid_place("kvm7", address, 22, user) == {}
    assert Target(7, "kvm7", address, 22, user, KEY).host == address


@pytest.mark.parametrize(
    ("address", "user", "fields"),
    [
        ("fe80::1", "root", {"address": "remote.zone_missing"}),
        ("10.0.0.1%eth0", "root", {"address": "remote.zone_elsewhere"}),
        ("root@kvm1", "root", {"address": "remote.user_in_address"}),
        ("kvm1", "a;b", {"user": "remote.bad_user_character"}),
        ("kvm1 ", "-l", {"address": "remote.bad_address", "user": "remote.bad_user"}),
    ],
)
def test_what_ssh_refuses_is_refused_with_the_reason(
    app: Flask, address: str, user: str, fields: dict[str, str]
) -> None:
    wrong = invalid_place("kvm7", address, 22, user)
    assert {name: reason.kind for name, reason in wrong.items()} == fields
    assert all(str(reason) for reason in wrong.values())
