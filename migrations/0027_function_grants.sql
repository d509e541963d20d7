-- PostgreSQL lets PUBLIC execute every new function. These see all tenants: the application may call them and no other role of the database.
-- A function that comes later does the same; shared/store/tests/functions.rs fails where one forgets.
REVOKE EXECUTE ON FUNCTION memberships_of, slug_is_taken, maintain_result_partitions, claim_due_units, next_due_at, load_claimed_units,
  claim_outbox, outbox_waiting, roll_up_hours, roll_up_days, drop_expired FROM PUBLIC;
GRANT EXECUTE ON FUNCTION memberships_of, slug_is_taken, maintain_result_partitions, claim_due_units, next_due_at, load_claimed_units,
  claim_outbox, outbox_waiting, roll_up_hours, roll_up_days, drop_expired TO waypost_app;
