"""What is said of users, groups, quotas, operators' scopes and the import of users."""

from ravada_web.messages.marks import N_, Plural, Template

TEXTS: dict[str, Template] = {
    # Users
    "people.no_administrator": N_("There is no administrator yet: run `flask setup` first."),
    "people.no_such_user": N_("User not found."),
    "people.no_user_called": N_("There is no user “%(name)s”."),
    "people.no_users_called": Plural("There is no user called %(names)s.", "There are no users called %(names)s."),
    "people.user_gone": N_("One of these users no longer exists. Reload the page."),
    "people.bad_name": N_(
        "Use letters A to Z, digits and . _ @ + ' -, at most 63 characters, starting with a letter or digit."
    ),
    "people.name_taken": N_("There is already a user “%(name)s”."),
    "people.name_taken_but_for_case": N_(
        "There is already a user “%(name)s”. Names that differ only in upper and lower case are the same user’s."
    ),
    "people.bad_role": N_("Choose a role: %(roles)s."),
    "people.not_from_yourself": N_("You can’t do this to yourself. Another administrator can."),
    "people.last_administrator": N_(
        "%(name)s is the last administrator who can sign in. Make another user an administrator first."
    ),
    "people.no_language": N_("Choose one of the languages listed."),
    "people.delete_yourself": N_("You can’t delete yourself. Another administrator can."),
    "people.has_desktops": Plural(
        "%(name)s has %(count)s desktop. Delete it first, or deactivate %(name)s and keep it.",
        "%(name)s has %(count)s desktops. Delete them first, or deactivate %(name)s and keep them.",
    ),
    # Groups
    "people.no_such_group": N_("Group not found."),
    "people.no_group_called": N_("There is no group “%(name)s”."),
    "people.group_gone": N_("One of these groups no longer exists. Reload the page."),
    "people.bad_group_name": N_(
        "Use letters, digits, spaces and . _ @ -, at most 63 characters, starting with a letter or digit."
    ),
    "people.group_name_taken": N_("Another group has this name."),
    "people.no_names": N_("Enter at least one name."),
    "people.too_many_names": N_("At most %(most)s names at once."),
    "people.no_such_member": N_("Member not found."),
    # Quotas: as they are set
    "people.quota_range": N_("Enter a number between 0 and %(most)s, or leave empty for no quota."),
    "people.memory_quota_range": N_("Enter a number of MiB, or leave empty for no quota."),
    # Quotas: as they refuse, the user themselves and who acts for them
    "people.your_clone_quota_reached": Plural(
        "You have reached your quota of %(count)s desktop. Delete it first, or ask your administrator.",
        "You have reached your quota of %(count)s desktops. Delete one first, or ask your administrator.",
    ),
    "people.their_clone_quota_reached": Plural(
        "%(name)s has reached the quota of %(count)s desktop.", "%(name)s has reached the quota of %(count)s desktops."
    ),
    "people.your_clone_quota": Plural(
        "Your quota is %(count)s desktop; you have %(has)s, and this would be %(more)s more. Ask your administrator.",
        "Your quota is %(count)s desktops; you have %(has)s, and this would be %(more)s more. Ask your administrator.",
    ),
    "people.their_clone_quota": Plural(
        "The quota of %(name)s is %(count)s desktop; %(name)s has %(has)s, and this would be %(more)s more.",
        "The quota of %(name)s is %(count)s desktops; %(name)s has %(has)s, and this would be %(more)s more.",
    ),
    "people.your_running_quota_reached": Plural(
        "Your quota is %(count)s running desktop, and you have %(has)s running. Shut one down first.",
        "Your quota is %(count)s running desktops, and you have %(has)s running. Shut one down first.",
    ),
    "people.their_running_quota_reached": Plural(
        "The quota of %(name)s is %(count)s running desktop, and %(name)s has %(has)s running. Shut one down first.",
        "The quota of %(name)s is %(count)s running desktops, and %(name)s has %(has)s running. Shut one down first.",
    ),
    "people.your_running_quota": Plural(
        "Your quota is %(count)s running desktop, and this would be %(more)s. Ask your administrator.",
        "Your quota is %(count)s running desktops, and this would be %(more)s. Ask your administrator.",
    ),
    "people.their_running_quota": Plural(
        "The quota of %(name)s is %(count)s running desktop, and this would be %(more)s.",
        "The quota of %(name)s is %(count)s running desktops, and this would be %(more)s.",
    ),
    "people.your_memory_quota_reached": N_(
        "Your running desktops use %(has_mib)s of your quota of %(most_mib)s of memory, and this needs %(more_mib)s. "
        "Shut one down first."
    ),
    "people.their_memory_quota_reached": N_(
        "The running desktops of %(name)s use %(has_mib)s of their quota of %(most_mib)s of memory, and this needs "
        "%(more_mib)s. Shut one down first."
    ),
    "people.your_memory_quota": N_(
        "This needs %(more_mib)s of memory, and your quota is %(most_mib)s. Ask your administrator."
    ),
    "people.their_memory_quota": N_("This needs %(more_mib)s of memory, and the quota of %(name)s is %(most_mib)s."),
    # Operators' scopes
    "people.not_an_operator": N_("%(name)s is not an operator. Only operators can be limited to a scope."),
    "people.empty_scope": N_("Select at least one base or node, or choose everything."),
    # A file to import
    "people.csv_line": N_("line %(number)s: %(reason)s"),
    "people.csv_refused": N_("The file was not imported: %(lines_clauses)s"),
    "people.csv_too_many": N_("More than %(most)s users. Split the file."),
    "people.csv_too_many_errors": N_("Too many errors. The rest of the file was not read."),
    "people.csv_broken": N_("From here on, this is not valid CSV: %(said)s."),
    "people.csv_empty": N_("The file names columns, but has no users."),
    "people.csv_not_utf8": N_("The file is not UTF-8. Save it as “CSV UTF-8”, then upload it again."),
    "people.csv_not_text": N_("This is not a text file. Save the spreadsheet as CSV, then upload that."),
    "people.csv_unknown_column": N_("There is no column “%(column)s”. The columns are %(columns)s."),
    "people.csv_no_name_column": N_("The first line must name the columns, and one of them must be “name”."),
    "people.csv_column_twice": N_("The column “%(column)s” appears twice."),
    "people.csv_too_many_cells": N_("This line has more cells than the first line names columns."),
    "people.csv_name_twice": N_("%(name)s appears twice."),
    "people.csv_names_alike": N_(
        "“%(name)s” differs from “%(other)s” only in upper and lower case. They would be the same user."
    ),
    "people.csv_nameless_column": N_("Column %(number)s has values, but the first line does not name it."),
    "people.csv_short_password": Plural(
        "The password needs at least %(count)s character.", "The password needs at least %(count)s characters."
    ),
    "people.csv_too_many_passwords": N_("Only %(most)s rows can have a password. Leave it empty, or split the file."),
    "people.csv_own_row": N_(
        "This is you: you can’t take the administrator role away from yourself or deactivate yourself."
    ),
    "people.csv_bad_name": N_("“%(name)s” is not a valid name. %(rule)s"),
    "people.csv_bad_group": N_("“%(name)s” is not a valid name of a group. %(rule)s"),
    "people.csv_too_many_groups": N_("A file creates at most %(most)s groups. Check its column “groups”."),
    "people.csv_too_many_drawn": N_(
        "Passwords are generated for at most %(most)s new users per file. Split the file, or generate none."
    ),
    "people.csv_bad_role": N_("“%(role)s” is not a role. The roles are %(roles)s."),
    "people.csv_bad_active": N_("“%(value)s” in “active”: enter yes or no."),
    "people.csv_not_a_number": N_("“%(value)s” in “%(column)s” is not a number."),
    "people.csv_bad_quota": N_("%(column)s: %(reason)s"),
    "people.import_expired": N_(
        "This file was already imported, or was checked more than ten minutes ago. Upload it again."
    ),
    "people.import_not_ready": N_("The passwords in this file are still being encrypted. Try again in a moment."),
    "people.import_changed": N_("Users have changed since this file was checked. Upload it again."),
    "people.import_group_gone": N_("Group %(name)s no longer exists. Upload the file again."),
    # For the audit log
    "people.role_user": N_("user"),
    "people.role_operator": N_("operator"),
    "people.role_administrator": N_("administrator"),
    "people.in_groups": N_("in %(groups)s"),
    "people.in_no_group": N_("in no group"),
    "people.quota": N_("quota of %(amounts)s"),
    "people.no_quota": N_("no quota"),
    "people.quota_desktops": Plural("%(count)s desktop", "%(count)s desktops"),
    "people.quota_running": N_("%(most)s running"),
    "people.quota_memory": N_("%(most_mib)s of memory"),
    "people.changes": N_("%(changes_clauses)s"),
    "people.members": N_("%(names)s"),
    "people.more": Plural("%(count)s more", "%(count)s more"),
    "people.scope": N_("%(parts)s"),
    "people.scope_bases": Plural("%(count)s base", "%(count)s bases"),
    "people.scope_nodes": Plural("%(count)s node", "%(count)s nodes"),
    "people.scope_everything": N_("everything"),
    "people.by_import": N_("by import"),
}
