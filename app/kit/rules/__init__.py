"""Pure rules of the field, shared by slices: no database, no clock, no request."""
