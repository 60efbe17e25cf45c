"""What every part of the JSON API is made of: errors, schemas, parameters, paging. Knows none of the apps."""
