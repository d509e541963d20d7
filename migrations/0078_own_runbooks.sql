-- A runbook of a monitor's or a rule's own: a link, a text in Markdown, or both (types::runbook::OwnRunbook). It stands in the place of the
-- one that fits the usual event. NULL: that one.
ALTER TABLE monitors ADD COLUMN runbook jsonb;
ALTER TABLE rules ADD COLUMN runbook jsonb;
