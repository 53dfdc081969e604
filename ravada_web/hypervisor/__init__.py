"""libvirt: connections, facts, health, domains and their XML. No SSH, no database."""
