package backoff

// Size returns the number of records.
func (t *Table) Size() int { return t.urls.Len() + t.origins.Len() }
