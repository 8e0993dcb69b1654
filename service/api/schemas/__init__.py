"""What goes over the wire: the models of bodies, queries and answers. Lengths count characters (code points)."""
