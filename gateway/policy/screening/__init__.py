"""Whether somebody that is paid stands on a list: names, accounts, countries and banks against lists, pure and explained."""
