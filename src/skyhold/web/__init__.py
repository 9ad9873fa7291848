"""HTTP: requests are parsed, handed to the booking client or to a query, and rendered. No rules, SQL or Temporal."""
